// SPDX-License-Identifier: Apache-2.0
/*
 * What berth-operator does beside running: one file each. argv begins after the sub-command's name;
 * the exit code is returned: 0, 1 where something is wrong, 2 for a wrong command line.
 */
#pragma once

int webhook_manifest(int argc, char *const *argv);
