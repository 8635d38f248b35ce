import os
import signal
import threading

import pytest

from sluicegate.errors import Interrupted
from sluicegate.train.signals import Stop, handled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_the_loop_a_signal_ends_at_once(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name), handled():
        os.kill(os.getpid(), number)


def test_in_the_loop_a_signal_is_only_noted(capsys: pytest.CaptureFixture[str]) -> None:
    with handled() as stop:
        stop.patient = True
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
    assert capsys.readouterr().err.count("saving a checkpoint") == 1


def test_afterwards_signals_are_what_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with handled():
        assert isinstance(signal.getsignal(signal.SIGTERM), Stop)
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_nothing_is_changed() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with handled() as stop:
            seen.append((stop.asked, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
