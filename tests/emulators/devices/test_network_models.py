"""All models of network cards alike: what a board does with them, whatever chip they are."""

import pytest

from emulators.device import Timeline
from emulators.devices.net import models
from emulators.devices.pci.bus import PciBus
from emulators.dma import Dma
from emulators.outside import NicEnd
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import moved
from vde.errors import ConfigError

MAC = bytes.fromhex("020000000042")


@pytest.mark.parametrize("model", models.MODELS)
def test_the_life_of_a_card_that_nobody_drives(model: str) -> None:
    sent: list[bytes] = []
    timeline = Timeline()
    memory = GuestMemory()

    def fresh() -> models.Jack:
        return models.card(model, "nic0", mac=MAC, dma=Dma(memory), out=sent.append, timeline=timeline)

    card = models.card(model, "nic0", mac=MAC, dma=Dma(memory), out=sent.append, timeline=timeline)
    levels: list[bool] = []
    bus = PciBus([levels.append] * 4)
    bus.add(card, 3)
    bus.assign(io=(0x1000, 0x1FFF), memory=(0x1000_0000, 0x1FFF_FFFF), line=lambda device, pin: 10)
    assert bus.hidden_windows == 0
    assert card.mac == MAC
    cable = NicEnd(sent.append)
    models.plug_in(cable, card)
    assert cable.on_frame is not None
    assert cable.on_link is not None
    assert cable.ready_frames is not None
    for length in (0, 1, 13, 14, 60, 1514, 9014, 65536):
        cable.on_frame(bytes(length))
    for up in (False, True, True):
        cable.on_link(up)
    assert cable.ready_frames() > 0
    assert not any(levels)  # no interrupt that nobody asked for
    assert (memory.reads, memory.writes) == (0, 0)
    assert sent == []
    assert card.next_deadline() is None
    moved(card, lambda: models.card(model, "nic0", mac=MAC, dma=Dma(memory), out=sent.append, timeline=timeline))
    card.reset()
    assert not any(levels)
    assert fresh().ready_frames() > 0


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="pcnet, virtio, e1000, rtl8139, ne2000, gem"):
        models.card("ne3000", "nic0", mac=MAC, dma=Dma(GuestMemory()), out=print, timeline=Timeline())


@pytest.mark.parametrize("model", models.MODELS)
def test_an_address_of_another_length_is_refused(model: str) -> None:
    with pytest.raises(ValueError, match="5 octets"):
        models.card(model, "nic0", mac=bytes(5), dma=Dma(GuestMemory()), out=print, timeline=Timeline())
