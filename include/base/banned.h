// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the use of functions that overflow, keep hidden state or run a shell a compile error.
 * Included by the build before every source file (-include), so that no file can forget it; the
 * system headers that declare these names are read first, because poisoning forbids even that.
 */
#pragma once

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* where the C library has macros of these names (alloca; clang with _FORTIFY_SOURCE) */
#undef sprintf
#undef vsprintf
#undef alloca

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll atof
#pragma GCC poison gmtime localtime ctime asctime strerror
#pragma GCC poison system popen alloca
