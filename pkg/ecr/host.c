// SPDX-License-Identifier: Apache-2.0
/*
 * Names of registries as image references begin with: any host with a port, and ECR's own, whose
 * parts name account and region.
 */
#include "base/err.h"
#include "base/num.h"
#include "base/str.h"
#include "ecr/prefix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LABEL_MAX = 63, PORT_MAX = 65535, PORT_DIGITS_MAX = 5 };

static bool is_host_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

static bool is_label(struct str s)
{
    if (s.len == 0 || !is_host_char(s.ptr[0]) || !is_host_char(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_host_char(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    return true;
}

static bool is_ipv6_text(struct str s)
{
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.'))
            return false;
    }
    return true;
}

static bool is_port_text(struct str s)
{
    if (s.len == 0 || s.len > PORT_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

/* Splits "host[:port]"; *port is absent where there is none. */
static bool split(struct str s, struct str *host, struct str *port)
{
    *port = STR_NULL;
    if (s.len > 0 && s.ptr[0] == '[') {
        ptrdiff_t close = str_index(s, ']');
        if (close < 0)
            return false;
        *host = str_n(s.ptr, (size_t)close + 1);
        struct str after = str_from_offset(s, (size_t)close + 1);
        if (after.len == 0)
            return true;
        *port = str_from_offset(after, 1);
        return after.ptr[0] == ':';
    }
    (void)str_cut(s, ':', host, port);
    return true;
}

bool ecr_registry_host_matches(struct str s)
{
    struct str host;
    struct str port;
    if (!split(s, &host, &port) || (!str_is_null(port) && !is_port_text(port)))
        return false;
    if (host.len > 0 && host.ptr[0] == '[')
        return is_ipv6_text(str_n(host.ptr + 1, host.len - 2));
    if (host.len == 0 || host.ptr[host.len - 1] == '.')
        return false;
    struct str label;
    while (str_next(&host, '.', &label))
        if (!is_label(label))
            return false;
    return true;
}

static bool refuse(struct err *e, const char *says)
{
    return err_set(e, ERR_INVALID, "InvalidName", "%s", says);
}

bool ecr_registry_host_validate(struct str s, struct err *e)
{
    struct str host;
    struct str port;
    if (!ecr_registry_host_matches(s) || !split(s, &host, &port))
        return refuse(e, "must be a host name in lower case or an address, with a port after ':' "
                         "where it needs one, without scheme and path, for example "
                         "registry.example.com:5000");
    if (host.len > ECR_HOST_MAX)
        return err_set(e, ERR_INVALID, "InvalidName", "must have at most %d characters",
                       ECR_HOST_MAX);
    int64_t number = 0;
    if (!str_is_null(port) && (!num_parse_i64(port, &number) || number < 1 || number > PORT_MAX))
        return err_set(e, ERR_INVALID, "InvalidName", "must have a port of 1 to %d", PORT_MAX);
    if (str_is_null(port) && str_index(host, '.') < 0 && host.ptr[0] != '[' &&
        !str_eq(host, STR("localhost")))
        return refuse(e, "must have a dot or a port (or be localhost): an image reference takes "
                         "anything else for a path on docker.io");
    for (struct str rest = host, label; host.ptr[0] != '[' && str_next(&rest, '.', &label);)
        if (label.len > LABEL_MAX)
            return err_set(e, ERR_INVALID, "InvalidName",
                           "must have at most %d characters between dots", LABEL_MAX);
    return true;
}

/* The words between account and region, and the domains that go with them. AWS's own credential
 * helper accepts every pairing; only these exist (ECR service endpoints, AWS General Reference). */
static const struct {
    const char *words;
    bool is_fips;
    bool is_dualstack;
} services[] = {
    {".dkr.ecr.", false, false},
    {".dkr.ecr-fips.", true, false},
    {".dkr-ecr.", false, true},
    {".dkr-ecr-fips.", true, true},
};

static const struct {
    const char *domain;
    bool is_dualstack;
} domains[] = {
    {"amazonaws.com", false},
    {"amazonaws.com.cn", false},
    {"amazonaws.eu", false},
    {"c2s.ic.gov", false},
    {"sc2s.sgov.gov", false},
    {"cloud.adc-e.uk", false},
    {"csp.hci.ic.gov", false},
    {"on.aws", true},
    {"on.amazonwebservices.com.cn", true},
};

static bool is_region_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_host_char(c) && !(c >= 'A' && c <= 'Z') && !(i > 0 && (c == '-' || c == '_')))
            return false;
    }
    return s.len > 0;
}

static bool is_domain_of(struct str domain, bool is_dualstack)
{
    for (size_t i = 0; i < ARRAY_SIZE(domains); i++)
        if (domains[i].is_dualstack == is_dualstack &&
            str_eq_nocase(domain, str_from(domains[i].domain)))
            return true;
    return false;
}

bool ecr_host_parse(struct str host, struct ecr_host *ret)
{
    *ret = (struct ecr_host){0};
    if (host.len <= ECR_ACCOUNT_ID_LEN)
        return false;
    struct str account = str_n(host.ptr, ECR_ACCOUNT_ID_LEN);
    struct str after = str_from_offset(host, ECR_ACCOUNT_ID_LEN);
    if (!ecr_account_id_matches(account))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
        struct str words = str_from(services[i].words);
        struct str region;
        struct str domain;
        if (after.len < words.len || !str_eq_nocase(str_n(after.ptr, words.len), words) ||
            !str_cut(str_from_offset(after, words.len), '.', &region, &domain) ||
            !is_region_text(region) || !is_domain_of(domain, services[i].is_dualstack))
            continue;
        *ret = (struct ecr_host){account, region, services[i].is_fips, services[i].is_dualstack};
        return true;
    }
    return false;
}
