// SPDX-License-Identifier: Apache-2.0
/*
 * Names of Kubernetes.
 */
#include "names.h"

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool name_is_label(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        const bool is_inside = i != 0 && i + 1 != s.len;
        if (!is_lower(s.ptr[i]) && !(s.ptr[i] == '-' && is_inside))
            return false;
    }
    return s.len != 0 && s.len <= NAME_LABEL_MAX;
}

bool name_is_subdomain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        const bool is_inside = i != 0 && i + 1 != s.len;
        const bool is_beside = is_inside && is_lower(s.ptr[i - 1]) && is_lower(s.ptr[i + 1]);
        if (!is_lower(s.ptr[i]) && !(s.ptr[i] == '-' && is_inside) &&
            !(s.ptr[i] == '.' && is_beside))
            return false;
    }
    return s.len != 0 && s.len <= NAME_SUBDOMAIN_MAX;
}

bool name_is_kind(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        const bool is_inside = i != 0 && i + 1 != s.len;
        if (!is_letter(s.ptr[i]) && !(i != 0 && is_lower(s.ptr[i])) &&
            !(s.ptr[i] == '-' && is_inside))
            return false;
    }
    return s.len != 0 && s.len <= NAME_LABEL_MAX;
}

bool name_is_host(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        if (!is_letter(c) && !is_lower(c) && c != '-' && c != '.' && c != '*' && c != ':')
            return false;
    }
    return s.len != 0 && s.len <= NAME_SUBDOMAIN_MAX;
}
