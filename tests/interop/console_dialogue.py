"""The dialogue that both switches get, and where ours answers otherwise on purpose.

`{one}` stands for the endpoint number of the client that described itself so.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A command that ours answers otherwise.

    Attributes:
        ours: the lines of our answer, without the frame; the last is the status.
        why: the reason.
    """

    ours: tuple[str, ...]
    why: str


INVALID, SUCCESS, MISSING = "1022 Invalid argument", "1000 Success", "1002 No such file or directory"

DIALOGUE = """
ds/showinfo
port/showinfo
fstp/showinfo
hash/showinfo
port
port/
bogus
PORT/print
# a comment
   # another
\tport/showinfo
port/showinfo extra
port/showinfoXYZ
helpme
help ds/x
help ds/
help debug
help plugin
help  ds
help\tds
help ds\x20
help load
vlan/delport 0 1
vlan/create 5
vlan/delport 5 1
vlan/addport 5 9
vlan/addport 5 77
vlan/addport 6 1
vlan/addport 6 77
vlan/addport 5000 20
vlan/addport 5
vlan/addport 5 1 9
vlan/addport 5 abc
vlan/addport 0x5 2
vlan/addport 010 1
vlan/addport +5 1
vlan/print 5
vlan/print 6
vlan/print 4094
vlan/print 4095
vlan/print -1
vlan/print abc
vlan/print 0
vlan/allprint 0
vlan/allprint 5
vlan/allprint 7
vlan/allprint
vlan/allprint abc
vlan/remove 0
vlan/remove
vlan/remove 5
vlan/remove 99
vlan/remove 5000
vlan/remove 1 x
vlan/create abc
vlan/create 0x10
vlan/create 4093
vlan/create 4094
vlan/create 4095
vlan/create -1
vlan/create
vlan/create 12x
vlan/create  \t 13
vlan/create +14
vlan/create 5
vlan/remove 12
vlan/remove 13
vlan/remove 14
vlan/delport 5 1
vlan/delport 5 2
vlan/delport 5 2
vlan/delport 6 1
vlan/delport 5 99
vlan/delport 5
vlan/print 5
port/setvlan 1 4094
port/setvlan 1 4096
port/setvlan 1 -1
port/setvlan -1 0
port/setvlan 1 4095
port/setvlan 99 5
port/setvlan 9 5
port/setvlan 20 5000
port/setvlan 1 9
port/setvlan 1
port/setvlan 1,5
port/setvlan 1x 5
port/setvlan a b
port/print 1
port/allprint
vlan/allprint
port/setvlan 1 5
vlan/addport 5 1
vlan/addport 0 1
vlan/print
port/setvlan 1 0
vlan/print
port/createauto
port/createauto 5
port/create 7
port/create 7
port/create abc
port/create 0
port/create
port/create 31
port/create 99
port/create -1
port/create 99999999999
port/allprint
port/allocatable 7 1
port/allprint 7
port/allocatable 7 7
port/allocatable 7 0
port/allocatable 7
port/allocatable 1 x
port/allocatable 99 1
port/allocatable 20 1
port/allocatable -1 1
port/print 7
port/print 20
port/print 99
port/print abc
port/print -1
port/print 1 2
port/allprint 20
port/allprint 99
port/allprint 0
port/remove 1
port/remove 7
port/remove 7
port/remove 99
port/remove
port/setuser 1 root
port/setgroup 1 daemon
port/print 1
port/setuser 1 1
port/setgroup 1 2
port/print 2
port/setuser 1 nosuch
port/setuser 1
port/setuser 1 none
port/setuser 1 -1
port/setuser 1   root
port/setuser 20 root
port/setuser 20 nosuch
port/setuser 99 root
port/setuser 99 nosuch
port/setuser 1 NONE
port/setgroup 1 nosuch
port/setgroup 1 55555
port/print 1
port/setgroup 1 ANY
port/setgroup 1 -1
port/setgroup 1
port/print 1
port/setuser 1 12x
port/setuser 1 root\x20
port/setuser 1 ANY
port/epclose 1 99
port/epclose 20 3
port/epclose 99 3
port/epclose 1
port/epclose 1x 5
port/epclose 1 {two}
port/resetcounter
port/resetcounter 1
port/resetcounter 20
port/resetcounter 99
port/resetcounter -1
port/resetcounter abc
port/setnumports 0
port/setnumports abc
port/setnumports -4
port/setnumports 5
port/setnumports 50
port/createauto
port/sethub 1
fstp/setfstp 1
fstp/showinfo
port/sethub abc
port/sethub 7
port/sethub 0
hash/setsize 100
hash/setsize 0
hash/setsize -5
hash/setsize abc
hash/setsize
hash/setgcint 5
hash/setexpire 50
hash/setminper 2
hash/showinfo
hash/setgcint abc
hash/setgcint 2
hash/setexpire 100
hash/setminper 3
hash/print
hash/find 02:00:00:00:00:09
hash/find
hash/find abc
hash/find 02:00:00:00:00:09 77
hash/find 02.00.00.00.00.09
hash/find 2:0:0:0:0:9 0
hash/find 02:00:00:00:00
hash/find 02-00-00-00-00-09
hash/find 02:00:00:00:00:09 abc
hash/find 02:00:00:00:00:09 5000
hash/find 02:00:00:00:00:09 -1
hash/find 102:00:00:00:00:09
hash/find 02:00:00:00:00:09x
hash/setgcint -3
hash/setexpire -1
hash/setminper -7
hash/setgcint 2
hash/setexpire 100
hash/setminper 3
fstp/print 0
fstp/print abc
fstp/print 50
fstp/print 4094
fstp/print -1
fstp/setedge 0 1 1
fstp/print 0
fstp/setedge 0 1 0
fstp/print 0
fstp/setedge 0 1 5
fstp/setedge 0 1
fstp/setedge 0,1,1
fstp/setedge 0 20 1
fstp/setedge 0 99 1
fstp/setedge 50 1 1
fstp/setedge 50 99 1
fstp/setedge 5000 1 1
fstp/setedge 5000 20 1
fstp/setedge -1 1 1
fstp/setedge 0 1 0
fstp/bonus 0 1 100
fstp/print 0
fstp/bonus 0 2 0x10
fstp/print 0
fstp/bonus 0 1 08
fstp/bonus 0 1
fstp/bonus 0 20 1
fstp/bonus 0 99 1
fstp/bonus 0 -1 1
fstp/bonus 50 1 1
fstp/bonus 5000 1 1
fstp/bonus 0 1 -1
fstp/bonus 0 0 0
fstp/print 0
fstp/setfstp 1
fstp/print 0
fstp/setfstp
fstp/setfstp abc
fstp/setfstp 1
fstp/showinfo
fstp/setfstp 0
fstp/showinfo
debug/list
debug/list port
debug/list zzz
debug/list port/+
debug/add zzz
debug/add packet
debug/add mgmt
debug/add sig
debug/list sig
debug/add fstp/+
debug/add fstp
debug/add fstp
debug/list
debug/del hash
debug/del fstp/+
debug/del fstp/+
debug/del
debug/del
debug/del zzz
plugin/list
plugin/list zzz
plugin/add zzz
plugin/add
plugin/add /nonexistent/x.so
plugin/del zzz
plugin/del
load
load /nonexistent
vlan/create 22\r
port/create 4294967328
vlan/remove 4294967301
load {files}/script
load {files}/blank
load {files}
showinfo
"""

# Without `iplog/logfile -` after a file: the original closes the file twice and is aborted.
PLUGIN_DIALOGUE = """
plugin/add dump
plugin/add dump
plugin/list
plugin/list du
plugin/list zz
help dump
help d
debug/list dump
dump
dump/active
dump/active 1
dump/active 1
debug/list dump
debug/add dump
debug/list dump
debug/del dump
dump/active 0
plugin/add iplog
plugin/list
help iplog
debug/list iplog
iplog/showinfo
iplog/logfile
iplog/ipadd
iplog/ipadd abc
iplog/ipadd 10.0.0.0/8
iplog/ipadd 10.1.2.3/8
iplog/ipadd 10.0.0.0/8
iplog/ipadd 10.0.0.0
iplog/ipadd 300.1.1.1/8
iplog/ipadd 0.0.0.0/0
iplog/ipadd fc00::/7
iplog/ipadd fc00::/7
iplog/ipadd ::/0
iplog/ipadd fe80::1/64
iplog/list
iplog/ipdel 10.0.0.0/9
iplog/ipdel 10.9.9.9/8
iplog/ipdel abc
iplog/ipdel fe80::/64
iplog/list
iplog/ipadd 10.0.0.0/33
iplog/ipadd fc00::/129
iplog/setgcint 7
iplog/setexpire 9
iplog/showinfo
iplog/iplist
iplog/ipport 1
iplog/ipport
iplog/ipport 99
iplog/ipuser root
iplog/ipuser nosuch
iplog/ipuser
iplog/ipuser 0
iplog/ipsearch 1.2.3.4
iplog/ipsearch abc
iplog/ipsearch
iplog/ipsearch fe80::1
iplog/ipsearch 1.2.3.4x
iplog/logfile {files}/log
iplog/showinfo
iplog/logfile /nonexistent/x
iplog/showinfo
plugin/del d
plugin/list
plugin/del d
plugin/del dump
plugin/add pdump
plugin/list pd
help pdump
debug/list pdump
pdump/filename
pdump/active
pdump/buffered
pdump/filename {files}/capture
pdump/active 1
pdump/active 1
pdump/filename
pdump/buffered 1
pdump/buffered abc
pdump/active 0
plugin/del
plugin/list
plugin/del
plugin/list
help iplog
debug/list dump
plugin/add dump.so
"""

_NO_WRAPPING = "numbers that do not fit 32 bits do not wrap round to small ones"
_STRICT_ADDRESS = "what is no Ethernet address is refused"
_TIMES = "times are not negative"
DIFFERENCES = {
    "port/setuser 1 12x": Difference((INVALID,), "a user is a name or a number, not a bit of both"),
    "port/setuser 1 root ": Difference((SUCCESS,), "a blank at the end is no part of a name"),
    "hash/setgcint -3": Difference((INVALID,), _TIMES),
    "hash/setexpire -1": Difference((INVALID,), _TIMES),
    "hash/setminper -7": Difference((INVALID,), _TIMES),
    "hash/find 102:00:00:00:00:09": Difference((INVALID,), _STRICT_ADDRESS),
    "hash/find 02:00:00:00:00:09x": Difference((INVALID,), _STRICT_ADDRESS),
    "port/create 4294967328": Difference((INVALID,), _NO_WRAPPING),
    "vlan/remove 4294967301": Difference((INVALID,), _NO_WRAPPING),
    "load {files}/blank": Difference(
        ("vde[{files}/blank]: ", "vde[{files}/blank]: vlan/create 23", SUCCESS, SUCCESS),
        "an empty line is nothing in a script, as it is in a dialogue; the original calls it an unknown command",
    ),
    "load {files}": Difference(("1021 Is a directory",), "a directory is no script; the original finds it empty"),
    "iplog/ipadd 10.0.0.0/33": Difference((INVALID,), "a mask is checked, not cut"),
    "iplog/ipadd fc00::/129": Difference((INVALID,), "a mask is checked, not cut"),
    "plugin/add dump.so": Difference((SUCCESS,), "the original misses a slash in its search path"),
}
