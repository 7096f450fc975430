"""Debug events: what happens in the switch, told to those who asked (`debug/add`).

A subscriber gets whole lines, `3TTT path text` with the category's tag in octal, as vde_switch writes them in the
middle of a dialogue; vde_autolink and other scripts parse them.
"""

from collections.abc import Callable
from dataclasses import dataclass

Subscriber = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Category:
    """One row of `debug/list`."""

    path: str
    tag: int
    help: str


class EventBus:
    """Categories in `debug/list` order, and who listens to which."""

    def __init__(self) -> None:
        self.categories: dict[str, Category] = {}
        self._subscribers: dict[str, list[Subscriber]] = {}
        self.on_interest: Callable[[], None] = lambda: None
        """Called whenever the set of categories with listeners may have changed."""

    def define(self, *categories: Category) -> None:
        """Add categories; a second definition of one path is a bug."""
        for category in categories:
            assert category.path not in self.categories
            self.categories[category.path] = category
            self._subscribers[category.path] = []

    def remove(self, *categories: Category) -> None:
        """Take categories away again, with whoever listens to them."""
        for category in categories:
            del self.categories[category.path], self._subscribers[category.path]
        self.on_interest()

    def subscribe(self, path: str, subscriber: Subscriber) -> bool:
        """False: it was already on."""
        if subscriber in self._subscribers[path]:
            return False
        self._subscribers[path].append(subscriber)
        self.on_interest()
        return True

    def unsubscribe(self, path: str, subscriber: Subscriber) -> bool:
        """False: it was not on."""
        if subscriber not in self._subscribers[path]:
            return False
        self._subscribers[path].remove(subscriber)
        self.on_interest()
        return True

    def unsubscribe_all(self, subscriber: Subscriber) -> None:
        """The subscriber has gone."""
        for path in self.categories:
            self.unsubscribe(path, subscriber)

    def is_on(self, path: str, subscriber: Subscriber) -> bool:
        """Does this subscriber hear this category?"""
        return subscriber in self._subscribers[path]

    def wanted(self, prefix: str) -> bool:
        """Does anybody hear a category whose path starts so?"""
        return any(listeners and path.startswith(prefix) for path, listeners in self._subscribers.items())

    def emit(self, path: str, text: str) -> None:
        """Tell everybody who listens to `path`."""
        line = f"3{self.categories[path].tag:03o} {path} {text}"
        for subscriber in tuple(self._subscribers[path]):
            subscriber(line)


SWITCH_CATEGORIES = (
    Category("hash/+", 0o11, "hash: new element"),
    Category("hash/-", 0o12, "hash: discarded element"),
    Category("fstp/status", 0o44, "fstp: status change"),
    Category("fstp/root", 0o45, "fstp: rootswitch/port change"),
    Category("fstp/+", 0o41, "fstp: port becomes active"),
    Category("fstp/-", 0o42, "fstp: port becomes inactive"),
    Category("port/+", 0o21, "new port"),
    Category("port/-", 0o22, "closed port"),
    Category("port/descr", 0o23, "set port description"),
    Category("port/ep/+", 0o31, "new endpoint"),
    Category("port/ep/-", 0o32, "closed endpoint"),
)
