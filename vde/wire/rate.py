"""The rate of a link: when a frame begins to leave, and when its last bit has left. Exact, in integers.

A token bucket (RFC 2697's, with one colour). Without a burst it is a serial line: frame k begins when it is there and
frame k−1 has left, and takes its octets, with the overhead, times 8 / rate. A burst of B octets lets frames that come
after a pause leave at once, up to B octets of them; the long-term rate is the same.

The state is the bucket's theoretical arrival time times the rate (bits · ns / s), so nothing is rounded but the answer.
"""

NS_PER_S = 10**9


class Rate:
    """A `Server` (see `queue.py`)."""

    def __init__(self, rate_bit_s: int, burst_octets: int = 0, overhead_octets: int = 0, busy_ns: int = 0) -> None:
        """`overhead_octets` per frame: 24 for preamble, FCS and gap; may be negative. Busy until `busy_ns`."""
        self._rate = rate_bit_s
        self._burst = burst_octets * 8 * NS_PER_S
        self._overhead = overhead_octets
        self.full = busy_ns * rate_bit_s
        """When the bucket is full again, · rate."""

    def start_ns(self, ready_ns: int) -> int:
        """When a frame that is there since `ready_ns` begins to leave."""
        return max(ready_ns, -((self._burst - self.full) // self._rate))

    def busy_until_ns(self) -> int:
        """When the bucket is full again."""
        return -(-self.full // self._rate)

    def transmit(self, start_ns: int, octets: int) -> int:
        """A frame begins to leave: when it will have left."""
        bits = max(0, octets + self._overhead) * 8
        self.full = max(self.full, start_ns * self._rate) + bits * NS_PER_S
        return max(start_ns, -((self._burst - self.full) // self._rate))
