"""A guest dozes when it has done nothing but tick for a while; whatever it does or gets ends that."""

from emulators.guest.doze import ENOUGH, LITTLE_INSNS, Doze


def ticked(doze: Doze, times: int, executed: int = 0, each: int = 4000) -> list[bool]:
    return [doze.rests(executed + each * number) for number in range(1, times + 1)]


def test_only_ticks() -> None:
    assert ticked(Doze(), 2 * ENOUGH) == [False] * ENOUGH + [True] * ENOUGH


def test_work_ends_it() -> None:
    doze = Doze()
    ticked(doze, 2 * ENOUGH)
    executed = 8000 * ENOUGH + LITTLE_INSNS + 1
    assert not doze.rests(executed)
    assert ticked(doze, ENOUGH, executed) == [False] * ENOUGH


def test_something_from_outside_ends_it() -> None:
    doze = Doze()
    ticked(doze, 2 * ENOUGH)
    doze.disturb()
    assert not doze.rests(8000 * ENOUGH + 4000)


def test_a_machine_that_was_built_anew_counts_from_its_beginning() -> None:
    doze = Doze()
    ticked(doze, 2 * ENOUGH)
    assert not doze.rests(100)
