/*
 * A bare-metal program for uMPS3 that is a host of 10.0.5.0/24: it answers ARP and ping, and pings others itself.
 *
 * Its address comes from the keyboard of terminal 0: a line with two numbers, its own last octet and that of the host to
 * ping, or 0 for nobody: "1 2". It prints `ready`, then `echo from N` for each answer it gets and `answered N` for each
 * echo request that it answers; after three answers to its own requests it prints `done`. A `q` ends it.
 *
 * No interrupts: it looks at the card and at the keyboard in turn.
 */
#include "umps.h"

#define BUFFER 1536
#define PING_US 20000

static octet in[BUFFER] __attribute__((aligned(4)));
static octet out[BUFFER] __attribute__((aligned(4)));
static octet us[6], them[6];
static octet our_last, their_last, know_them;
static word echoes, number;

static volatile word *const card = DEVICE(ETHERNET, 0);
static volatile word *const keyboard = DEVICE(TERMINAL, 0);

static void copy(octet *to, const octet *from, word octets)
{
    while (octets--)
        *to++ = *from++;
}

static void put_number(word value)
{
    char digits[10];
    int count = 0;
    do
        digits[count++] = '0' + value % 10;
    while (value /= 10);
    while (count)
        put(0, digits[--count]);
}

static int is_our_address(const octet *at)
{
    return at[0] == 10 && at[1] == 0 && at[2] == 5 && at[3] == our_last;
}

static void put_address(octet *at, octet last)
{
    at[0] = 10;
    at[1] = 0;
    at[2] = 5;
    at[3] = last;
}

/* RFC 1071 */
static word checksum(const octet *at, word octets)
{
    word sum = 0;
    for (; octets > 1; octets -= 2, at += 2)
        sum += at[0] << 8 | at[1];
    if (octets)
        sum += at[0] << 8;
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum & 0xFFFF;
}

static void put_checksum(octet *field, const octet *at, word octets)
{
    word sum;
    field[0] = field[1] = 0;
    sum = checksum(at, octets);
    field[0] = sum >> 8;
    field[1] = sum;
}

static void send(word octets)
{
    while (octets < 60)
        out[octets++] = 0;
    card[DATA0] = (word)out;
    card[DATA1] = octets;
    if (command(card, 4) != READY)
        say(0, "send failed\n");
}

static void header(const octet *to, word type)
{
    copy(out, to, 6);
    copy(out + 6, us, 6);
    out[12] = type >> 8;
    out[13] = type;
}

/* RFC 826 */
static void send_arp(word operation, const octet *to, octet to_last)
{
    static const octet fixed[] = {0, 1, 8, 0, 6, 4, 0};
    static const octet everybody[] = {255, 255, 255, 255, 255, 255};
    header(operation == 1 ? everybody : to, 0x0806);
    copy(out + 14, fixed, 7);
    out[21] = operation;
    copy(out + 22, us, 6);
    put_address(out + 28, our_last);
    copy(out + 32, to, 6);
    put_address(out + 38, to_last);
    send(42);
}

static void take_arp(word octets)
{
    if (octets < 42 || !is_our_address(in + 38))
        return;
    if (in[31] == their_last) {
        copy(them, in + 22, 6);
        know_them = 1;
    }
    if (in[21] == 1)
        send_arp(2, in + 22, in[31]);
}

/* RFC 792 */
static void take_ip(word octets)
{
    word length = in[16] << 8 | in[17];
    if (octets < 42 || in[14] != 0x45 || in[23] != 1 || !is_our_address(in + 30))
        return;
    if (length < 28 || length + 14 > octets || checksum(in + 14, 20) || checksum(in + 34, length - 20))
        return;
    if (in[34] == 8) {
        copy(out, in, length + 14);
        header(in + 6, 0x0800);
        copy(out + 26, in + 30, 4);
        copy(out + 30, in + 26, 4);
        out[22] = 64;
        put_checksum(out + 24, out + 14, 20);
        out[34] = 0;
        put_checksum(out + 36, out + 34, length - 20);
        send(length + 14);
        say(0, "answered ");
        put_number(in[29]);
        put(0, '\n');
    } else if (in[34] == 0 && in[29] == their_last) {
        say(0, "echo from ");
        put_number(in[29]);
        put(0, '\n');
        if (++echoes == 3)
            say(0, "done\n");
    }
}

static void send_echo(void)
{
    word at;
    header(them, 0x0800);
    for (at = 14; at < 42 + 56; at++)
        out[at] = at;
    out[14] = 0x45;
    out[15] = 0;
    out[16] = 0;
    out[17] = 28 + 56;
    out[20] = out[21] = 0;
    out[22] = 64;
    out[23] = 1;
    put_address(out + 26, our_last);
    put_address(out + 30, their_last);
    put_checksum(out + 24, out + 14, 20);
    out[34] = 8;
    out[35] = 0;
    out[38] = out[39] = 0;
    out[40] = ++number >> 8;
    out[41] = number;
    put_checksum(out + 36, out + 34, 8 + 56);
    send(42 + 56);
}

static octet read_number(void)
{
    word value = 0;
    for (;;) {
        word status, character;
        keyboard[RECV_COMMAND] = 2;
        while ((status = keyboard[RECV_STATUS], status & 0xFF) == BUSY)
            ;
        keyboard[RECV_COMMAND] = ACK;
        character = status >> 8 & 0xFF;
        if (character < '0' || character > '9')
            return value;
        value = value * 10 + character - '0';
    }
}

int main(void)
{
    word last, octets;

    our_last = read_number();
    their_last = read_number();
    command(card, 2);
    us[0] = card[DATA0] >> 8;
    us[1] = card[DATA0];
    us[2] = card[DATA1] >> 24;
    us[3] = card[DATA1] >> 16;
    us[4] = card[DATA1] >> 8;
    us[5] = card[DATA1];
    card[DATA0] = 1 << 16; /* NAMED: no frames for others */
    command(card, 5);
    say(0, "ready\n");
    keyboard[RECV_COMMAND] = 2;
    last = TOD_LOW - PING_US * TIME_SCALE;
    for (;;) {
        card[DATA0] = (word)in;
        command(card, 3);
        octets = card[DATA1];
        if (octets >= 14) {
            word type = in[12] << 8 | in[13];
            if (type == 0x0806)
                take_arp(octets);
            else if (type == 0x0800)
                take_ip(octets);
        }
        if (their_last && echoes < 3 && TOD_LOW - last >= PING_US * TIME_SCALE) {
            last = TOD_LOW;
            if (know_them)
                send_echo();
            else
                send_arp(1, in, their_last);
        }
        if ((keyboard[RECV_STATUS] & 0xFF) == CHARACTER_DONE) {
            if ((keyboard[RECV_STATUS] >> 8 & 0xFF) == 'q')
                power_off();
            keyboard[RECV_COMMAND] = 2;
        }
    }
}
