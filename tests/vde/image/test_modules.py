"""Which modules are taken, and in which order they can be loaded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.errors import WireError
from vde.image.errors import ImageError
from vde.image.modinfo import ModuleInfo
from vde.image.modules import alias_table, built_in_names, closure, dependency_table, module_name


def facts(**depends: str) -> dict[str, ModuleInfo]:
    return {name: ModuleInfo(name, tuple(needs.split()), (f"pci:{name}*",)) for name, needs in depends.items()}


def test_dependencies_come_first_and_nothing_else_comes() -> None:
    modules = facts(net="failover ring", failover="core", core="", ring="core", unwanted="net")
    assert closure(modules, frozenset(), ["net"]) == ["core", "failover", "ring", "net"]


def test_names_are_compared_as_the_kernel_does() -> None:
    assert closure(facts(ne2k_pci=""), frozenset(), ["ne2k-pci"]) == ["ne2k_pci"]
    assert module_name("kernel/drivers/net/ethernet/8390/ne2k-pci.ko") == "ne2k_pci"


def test_what_is_built_in_is_not_asked_for() -> None:
    built_in = built_in_names("kernel/net/packet/af_packet.ko\nkernel/drivers/net/mii.ko\n\n")
    assert built_in == {"af_packet", "mii"}
    assert closure(facts(pcnet32="mii"), built_in, ["pcnet32", "af_packet"]) == ["pcnet32"]


def test_optional_modules_may_be_missing_but_what_they_need_may_not() -> None:
    assert closure(facts(a=""), frozenset(), ["a"], ["b"]) == ["a"]
    with pytest.raises(ImageError, match="no module c, which b needs"):
        closure(facts(a="", b="c"), frozenset(), ["a"], ["b"])


def test_a_circle_is_named() -> None:
    with pytest.raises(WireError, match="a → b → c → a"):
        closure(facts(a="b", b="c", c="a"), frozenset(), ["a"])


def test_a_chain_without_end_is_stopped() -> None:
    endless = {f"m{n}": ModuleInfo(f"m{n}", (f"m{n + 1}",), ()) for n in range(5000)}
    with pytest.raises(WireError, match="more than 64"):
        closure(endless, frozenset(), ["m0"])


@given(st.lists(st.sets(st.integers(0, 11), max_size=4), min_size=1, max_size=12))
def test_every_module_comes_after_what_it_needs(graph: list[set[int]]) -> None:
    modules = {
        f"m{number}": ModuleInfo(f"m{number}", tuple(f"m{need}" for need in sorted(needs) if need < number), ())
        for number, needs in enumerate(graph)
    }
    order = closure(modules, frozenset(), [f"m{len(graph) - 1}"])
    assert len(order) == len(set(order))
    paths = {name: f"kernel/{name}.ko" for name in order}
    table = dict(line.split(":") for line in dependency_table(order, modules, paths).splitlines())
    for name in order:
        assert all(order.index(need) < order.index(name) for need in modules[name].depends)
        # modprobe loads the files of a line from right to left; each must find what it needs loaded.
        loaded: set[str] = set()
        for path in [*reversed(table[paths[name]].split()), paths[name]]:
            each = module_name(path)
            assert set(modules[each].depends) <= loaded
            loaded.add(each)


def test_tables() -> None:
    modules = facts(net="failover", failover="")
    paths = {"net": "kernel/b/net.ko", "failover": "kernel/a/failover.ko"}
    order = ["failover", "net"]
    assert dependency_table(order, modules, paths) == "kernel/a/failover.ko:\nkernel/b/net.ko: kernel/a/failover.ko\n"
    assert alias_table(order, modules) == "alias pci:failover* failover\nalias pci:net* net\n"


def test_a_path_that_would_break_the_table() -> None:
    with pytest.raises(WireError, match="unusual module path"):
        dependency_table(["a"], facts(a=""), {"a": "kernel/a b.ko"})
