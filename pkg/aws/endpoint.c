// SPDX-License-Identifier: Apache-2.0
/*
 * Which partition a region belongs to, and ECR's host names in it. The table is that of the SDKs'
 * partitions.json, most special first.
 */
#include "aws/endpoint.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

static const struct partition {
    const char *region_prefix;
    const char *name;
    const char *dns_suffix;
} partitions[] = {
    {"us-gov-", "aws-us-gov", "amazonaws.com"},  {"us-isob-", "aws-iso-b", "sc2s.sgov.gov"},
    {"us-isof-", "aws-iso-f", "csp.hci.ic.gov"}, {"us-iso-", "aws-iso", "c2s.ic.gov"},
    {"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"}, {"eusc-", "aws-eusc", "amazonaws.eu"},
    {"cn-", "aws-cn", "amazonaws.com.cn"},       {"", "aws", "amazonaws.com"},
};

static const struct partition *find(struct str region)
{
    size_t i = 0;
    while (!str_starts_with(region, str_from(partitions[i].region_prefix)))
        i++;
    return &partitions[i];
}

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < 'a' || s.ptr[i] > 'z')
            return false;
    return s.len > 0;
}

static bool is_number(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len == 1 || s.len == 2;
}

bool aws_region_validate(struct str region, struct err *e)
{
    ptrdiff_t last = str_rindex(region, '-');
    size_t words = 0;
    bool is_valid = last > 0 && region.len <= AWS_REGION_MAX &&
                    is_number(str_from_offset(region, (size_t)last + 1));
    struct str rest = is_valid ? str_n(region.ptr, (size_t)last) : STR_NULL;
    struct str word;
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '-')
        is_valid = false;
    for (; str_next(&rest, '-', &word); words++)
        is_valid = is_valid && is_word(word) && (words > 0 || word.len == 2 || word.len == 4);
    if (!is_valid || words < 2)
        return err_set(e, ERR_INVALID, "InvalidRegion",
                       "must be an AWS region, for example eu-west-1");
    return true;
}

const char *aws_partition(struct str region)
{
    return find(region)->name;
}

const char *aws_dns_suffix(struct str region)
{
    return find(region)->dns_suffix;
}

void aws_endpoint_default(struct str region, struct buf *out)
{
    buf_append_cstr(out, "https://api.ecr.");
    buf_append(out, region);
    buf_append_char(out, '.');
    buf_append_cstr(out, aws_dns_suffix(region));
}

void aws_registry_host(struct str account_id, struct str region, struct buf *out)
{
    buf_append(out, account_id);
    buf_append_cstr(out, ".dkr.ecr.");
    buf_append(out, region);
    buf_append_char(out, '.');
    buf_append_cstr(out, aws_dns_suffix(region));
}
