# SPDX-License-Identifier: Apache-2.0
"""What the tests and the demo share: a control plane, the emulator, the operator, images.

Everything listens on loopback, on ports that the kernel chooses; everything started is stopped by
its process id, and is stopped by the kernel when the test process dies.
"""

from berth_test.control_plane import ControlPlane
from berth_test.kube import ApiError, Kube
from berth_test.wait import wait_for

__all__ = ["ApiError", "ControlPlane", "Emulator", "Kube", "Operator", "wait_for"]
