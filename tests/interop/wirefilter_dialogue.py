"""The dialogue that both wirefilters get, and where ours answers otherwise on purpose."""

INVALID, SUCCESS = "1022 Invalid argument", "1000 Success"

VALUES = (
    """
lr9|LR10+|3x|abc|-4|5+-2|1e3|5 + 3|5+3 K|3k|3K+1|3+1K|3+1m|3+1g|3+1u|3+1n|LR3|RL3|LRRL3|RLLR4| LR 3|L3|R3|LR|RL||+5|+
3++1|3+|3+x|3+1x|0x10|3,5|3.|3KN|3NK|3KK|3[0]|3[00]|3[ 0]|3[0]x|3[0][0]|[0]3|3+1N [0]|3N[0]|3K[0]|LR3K+1N[0]|3+1 N
3+1K N|3+ 1|3 K|lR3|LR-3|3]|N|K|3T|5 |7N |3[1]|3[-1]|3[x]|3+1N[0|LR 3 + 1 N [0]
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

# The original decides about the next state at once when it is told the number of states: nothing leads out of the
# present one then, or chance would answer.
DIALOGUE = """
showinfo
help
help loss
helpme
showinfo 0
showinfo 1
showinfo -1
showinfo -0
fifo
showinfo
fifo 7
showinfo
fifo 0
fifo 1
showinfoXYZ
show
# a comment
\tloss 4
loss 5\r
LOSS 3
loss\t6
loss6
lostburst 5
lostburst LR4+1
mtu 1500
mtu LR 99+3N
mtu 1K
mtu -3
mtu 1500
chanbufsize 64K
capacity RL10K
chanbufsize LR-7
band 1M
bandwidth RL128K
bandwidthX 3
speed 1M
noise 1
dup 2
showinfo
mtu 0
markov-numnodes
markov-numnodes 0
markov-numnodes abc
markov-numnodes -3
markov-numnodes 3
showinfo
showinfo 2
showinfo 3
showinfo -1
showcurrent
showedges
showedges 1
showedges 3
showedges -1
markov-name 0,OK
markov-name 1,BAD one
markov-name 3,X
markov-name -1,X
markov-name 1,a,b
showinfo 1
markov-name 1,
showinfo 1
markov-name 0, q\x20
showinfo 0
markov-name 0,OK
markov-name 1,BAD
markov-time 1000000.5
markov-setnode 1
markov-setnode 3
markov-setnode -1
showcurrent
showinfo
loss 50[1]
delay 100+10N[1]
delay 7[5]
delay 9
showinfo 1
showinfo 0
markov-time 0
markov-time -5
showinfo
setedge 0,1,10
setedge 1,0,30
setedge 1,2,80
setedge 0,0,5
setedge 2,2,5
setedge 5,1,1
setedge 0,5,1
setedge -1,0,1
setedge 0,1,-5
showedges
showedges 0
showedges 1
showedges 2
setedge 0,1,10x
setedge 0,2,1000
showedges 0
setedge 0,2,5.5
setedge 0, 1, 20
setedge 0,1,1e1
showedges 0
setedge 1,0,0
setedge 1,2,0
markov-numnodes 2
setedge 1,0,30
showedges
showcurrent
showinfo
showedge 0
markov-debug
markov-debug 1
markov-setnode 0
markov-setnode 1
markov-debug 0
markov-setnode 0
markov-numnodes 1
showinfo
showcurrent
showedges
load
load /nonexistent
load {files}/script
showinfo
load {files}
"""

DIFFERENCES = {
    "load {files}": (["0000 DATA END WITH '.'", ".", "1021 Is a directory"], "the original finds a directory empty"),
}
"""Command → (our answer, the reason)."""
