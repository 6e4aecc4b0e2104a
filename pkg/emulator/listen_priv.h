// SPDX-License-Identifier: Apache-2.0
/*
 * Opening the socket that the emulator listens on.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Binds "127.0.0.1:0" or "[::1]:5000" and listens. *ret_fd is the caller's; ret_name gets the
 * host and port as they stand in a URL (an address for all interfaces is named by loopback).
 * ERR_INVALID: not a numeric address and a port; ERR_CONFLICT: in use. */
bool emu_listen(const char *text, int *ret_fd, char *ret_name, size_t name_size,
                struct err *e) BERTH_NODISCARD;
