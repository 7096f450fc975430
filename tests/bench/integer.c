/* An integer program without an operating system, for `python -m tests.bench.cpu`: sorting a linked list, multiplying
 * matrices, a state machine over text, and a bitwise CRC over the results: the kinds of work that CoreMark has, which
 * Debian does not have. It is not CoreMark, and its figures are not CoreMark's.
 *
 * Runs on a Malta of any emulator: says `begin` on the first serial line, works for ITERATIONS rounds, says the CRC and
 * `end`, and waits for ever.
 */

#define SERIAL ((volatile unsigned char *)0xb80003f8) /* PCI I/O window, COM1 */
#define NODES 512
#define SIDE 24

__asm__(".globl __start\n"
        ".text\n"
        ".set noreorder\n"
        "__start: lui $sp, 0x8040\n"
        "        j main\n"
        "        nop\n"
        ".set reorder\n");

struct node {
    struct node *next;
    short key, value;
};

static struct node nodes[NODES];
static short left[SIDE][SIDE], right[SIDE][SIDE];
static int product[SIDE][SIDE];
static const char text[] = "5012,1234,-874,+122,.5,1e3,0x12,-1.5e-2,hello,+,,99999,3.14,-7e+2,T0.3e-1F,-T.T++Tq,1T3.4e4z,";

static void say(const char *words)
{
    for (; *words; words++)
        *SERIAL = *words;
}

static unsigned crc16(unsigned crc, unsigned value)
{
    for (int bit = 0; bit < 16; bit++, value >>= 1)
        crc = (crc ^ value) & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    return crc;
}

static struct node *merge(struct node *a, struct node *b)
{
    struct node head, *tail = &head;
    while (a && b) {
        struct node **least = a->key <= b->key ? &a : &b;
        tail->next = *least;
        tail = *least;
        *least = tail->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *sort(struct node *list)
{
    struct node *slow = list, *fast;
    if (!list || !list->next)
        return list;
    for (fast = list->next; fast && fast->next; fast = fast->next->next)
        slow = slow->next;
    fast = slow->next;
    slow->next = 0;
    return merge(sort(list), sort(fast));
}

static unsigned work_list(unsigned seed, unsigned crc)
{
    for (int i = 0; i < NODES; i++) {
        seed = seed * 1103515245 + 12345;
        nodes[i].key = seed >> 16;
        nodes[i].value = i;
        nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : 0;
    }
    int place = 0;
    for (struct node *node = sort(nodes); node; node = node->next)
        if (++place % 32 == 0)
            crc = crc16(crc, node->key ^ node->value);
    return crc;
}

static unsigned work_matrix(unsigned seed, unsigned crc)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            seed = seed * 1103515245 + 12345;
            left[i][j] = seed >> 20;
            right[i][j] = seed >> 12;
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += left[i][k] * right[k][j];
            product[i][j] = sum;
        }
    for (int i = 0; i < SIDE; i++)
        crc = crc16(crc, product[i][SIDE - 1 - i]);
    return crc;
}

static unsigned work_text(unsigned seed, unsigned crc)
{
    enum { START, SIGN, INTEGER, FRACTION, EXPONENT, POWER, WRONG, STATES } state = START;
    unsigned counts[STATES] = { 0 };
    for (int round = 0; round < 8; round++)
        for (const char *at = text; *at; at++) {
            char c = *at ^ ((seed >> round & 31) == (unsigned)(at - text) ? 1 : 0);
            if (c == ',') {
                counts[state]++;
                state = START;
                continue;
            }
            switch (state) {
            case START:
                state = c == '+' || c == '-' ? SIGN : c == '.' ? FRACTION : c >= '0' && c <= '9' ? INTEGER : WRONG;
                break;
            case SIGN:
                state = c == '.' ? FRACTION : c >= '0' && c <= '9' ? INTEGER : WRONG;
                break;
            case INTEGER:
                state = c == '.' ? FRACTION : c == 'e' ? EXPONENT : c >= '0' && c <= '9' ? INTEGER : WRONG;
                break;
            case FRACTION:
                state = c == 'e' ? EXPONENT : c >= '0' && c <= '9' ? FRACTION : WRONG;
                break;
            case EXPONENT:
                state = c == '+' || c == '-' || (c >= '0' && c <= '9') ? POWER : WRONG;
                break;
            case POWER:
                state = c >= '0' && c <= '9' ? POWER : WRONG;
                break;
            default:
                break;
            }
        }
    for (int i = 0; i < STATES; i++)
        crc = crc16(crc, counts[i]);
    return crc;
}

__attribute__((noreturn)) void main(void)
{
    unsigned crc = 0xffff;
    say("begin\n");
    for (unsigned round = 0; round < ITERATIONS; round++) {
        crc = work_list(round, crc);
        crc = work_matrix(crc, crc);
        crc = work_text(crc, crc);
    }
    char digits[] = "crc 0000\n";
    for (int i = 0; i < 4; i++)
        digits[7 - i] = "0123456789abcdef"[crc >> 4 * i & 15];
    say(digits);
    say("end\n");
    for (;;)
        ;
}
