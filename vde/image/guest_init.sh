#!/bin/sh
# The first process of a guest: mounts, drivers, addresses, one ready line, then a shell on the console for ever.
#
# Kernel parameters (docs/images.md):
#   hostname=NAME       ip4=ADDR/N   ip6=ADDR/N   for eth0; repeat a word to give several addresses
#   gw=ADDR             default route; once for IPv4, once for IPv6
#   ip4.ethK=ADDR/N     ip6.ethK=ADDR/N           for the other cards
#   ne.io=PORT,…        ne.irq=NUMBER,…           NE2000 cards on the ISA bus, which cannot be found
# The cards are eth0, eth1, … in the order of their PCI addresses, whatever drivers they need.
#
# The ready line is written once, when every card is up and has its link (or has had three seconds to get it):
#   vde-guest ready: hostname=a eth0=10.0.0.1/24
# A card without an address shows as eth1=none, one that the kernel could not bring up as eth1=failed.
set -f
export PATH=/bin HOME=/root ENV=/etc/profile

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run

name=guest gateways='' addresses='' isa=''
for word in $(cat /proc/cmdline); do
    value=${word#*=}
    case $word in
        hostname=*) name=$value ;;
        ne.io=*) isa="$isa io=$value" ;;
        ne.irq=*) isa="$isa irq=$value" ;;
        gw=*) gateways="$gateways $value" ;;
        ip4=* | ip6=*) addresses="$addresses eth0=$value" ;;
        ip4.eth*=* | ip6.eth*=*)
            key=${word%%=*}
            addresses="$addresses ${key#*.}=$value"
            ;;
    esac
done
hostname "$name"
echo "$name" >/etc/hostname
echo "127.0.0.1 localhost $name" >/etc/hosts

# Load the driver of each device of a bus. The kernel of a virtio card makes a second device, on its own bus.
load_bus() {
    set +f
    for device in /sys/bus/"$1"/devices/*; do
        [ -r "$device/modalias" ] && modprobe -q "$(cat "$device/modalias")" 2>/dev/null
    done
    set -f
}
modprobe -q af_packet 2>/dev/null
modprobe -q ipv6 2>/dev/null
load_bus pci
load_bus virtio
[ -z "$isa" ] || modprobe ne $isa || echo "vde-guest: no NE2000 at$isa"

# Name the cards by their place on the bus: with drivers of several kinds the kernel counts by driver.
set +f
cards=$(for card in /sys/class/net/*; do
    [ -e "$card/device" ] && echo "$(readlink -f "$card/device") ${card##*/}"
done | sort | while read -r place card; do echo "$card"; done)
set -f
count=0 wrong=''
for card in $cards; do
    [ "$card" = "eth$count" ] || wrong=yes
    count=$((count + 1))
done
if [ -n "$wrong" ]; then
    index=0
    for card in $cards; do
        ip link set "$card" name "swap$index"
        index=$((index + 1))
    done
    index=0
    while [ "$index" -lt "$count" ]; do
        ip link set "swap$index" name "eth$index"
        index=$((index + 1))
    done
fi

ip link set lo up
index=0 failed=''
while [ "$index" -lt "$count" ]; do
    # Addresses given by hand are usable at once: no duplicate address detection.
    case $addresses in *"eth$index="*:*) echo 0 >"/proc/sys/net/ipv6/conf/eth$index/accept_dad" ;; esac
    ip link set "eth$index" up || failed="$failed eth$index "
    index=$((index + 1))
done
for pair in $addresses; do
    card=${pair%%=*} address=${pair#*=}
    case $address in */*) ;; *)
        echo "vde-guest: $card: no prefix length in $address: is the kernel command line cut off?"
        continue
        ;;
    esac
    ip addr add "$address" dev "$card" || echo "vde-guest: cannot give $card the address $address"
done
for gateway in $gateways; do
    family=-4
    case $gateway in *:*) family=-6 ;; esac
    ip "$family" route add default via "$gateway" || echo "vde-guest: cannot route through $gateway"
done

ready="vde-guest ready: hostname=$name"
patience=30 # tenths of a second, for all cards together
index=0
while [ "$index" -lt "$count" ]; do
    card=eth$index
    case $failed in *" $card "*)
        ready="$ready $card=failed"
        index=$((index + 1))
        continue
        ;;
    esac
    while [ "$(cat "/sys/class/net/$card/carrier" 2>/dev/null)" != 1 ] && [ "$patience" -gt 0 ]; do
        usleep 100000
        patience=$((patience - 1))
    done
    own=''
    for pair in $addresses; do
        [ "${pair%%=*}" = "$card" ] && own="$own,${pair#*=}"
    done
    ready="$ready $card=${own:+${own#,}}"
    [ -n "$own" ] || ready="${ready}none"
    index=$((index + 1))
done
dmesg -n 1 # so that no kernel message lands inside the line
echo "$ready"

# init reaps orphans and answers poweroff and reboot; it starts the shell again when it ends (/etc/inittab).
exec init
