"""Processes of a pool: they end when the process that started them is interrupted or killed."""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """Makes this process of a pool end with its parent, however that ends; the initializer of a pool.

    On Ctrl-C, which reaches the whole group of processes, it ends without a traceback. A pool whose parent was killed
    would otherwise wait for work without end.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_after_parent()


def end_after_parent() -> None:
    """Makes this process end when its parent is killed."""
    threading.Thread(target=_wait_for_parent, name="end-with-parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
