from __future__ import annotations

import pytest

from decision.bundle.store import Bundle
from decision.programme.model import Programme
from decision.serving import Champion, champion_from


@pytest.fixture
def champion(bundle: Bundle, programme: Programme) -> Champion:
    return champion_from(bundle)
