"""A report that is open in a browser."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Opened:
    """A page with what went wrong in it.

    Args:
        page: Playwright's.
        wrong: Errors of the console and of scripts, and requests that leave the disk.
    """

    page: Any
    wrong: list[str] = field(default_factory=list)

    def ready(self, id: str | None = None) -> None:
        """Wait until an utterance can be seen and heard."""
        self.page.wait_for_function(
            "id => document.querySelector('#panel').dataset.ready === (id ?? Report.current.id)", arg=id
        )
        self.page.wait_for_selector("#wave [part~=box]")

    def box(self, tier: str, index: int) -> Any:
        """A phone or word."""
        return self.page.locator(f"#wave [aria-label='{tier}'] [part~=box]").nth(index)

    def state(self) -> dict[str, Any]:
        """The utterance's times as they are now."""
        found: dict[str, Any] = self.page.evaluate("Report.panel.state")
        return found
