// SPDX-License-Identifier: Apache-2.0
/*
 * Regions, partitions and host names of ECR. Pure functions, any thread.
 *
 * Partitions are found by the region's form, as the SDKs do, so that a region that opens tomorrow
 * needs no new release. A region that no partition claims belongs to "aws", as for the SDKs.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

enum { AWS_REGION_MAX = 25 };
#define AWS_REGION_PATTERN "^([a-z]{2}|[a-z]{4})(-[a-z]+)+-[0-9]{1,2}$"

/* "eu-west-1", "us-gov-west-1", "us-isob-east-1": ERR_INVALID otherwise. */
bool aws_region_validate(struct str region, struct err *e) BERTH_NODISCARD;

/* "aws", "aws-cn", "aws-us-gov", …: the second part of ARNs. Never NULL. */
const char *aws_partition(struct str region);
/* "amazonaws.com", "amazonaws.com.cn", …. Never NULL. */
const char *aws_dns_suffix(struct str region);

/* Appends https://api.ecr.<region>.<suffix>. The region is valid (validate it where it enters). */
void aws_endpoint_default(struct str region, struct buf *out);
/* Appends <account>.dkr.ecr.<region>.<suffix>, the name in image references. */
void aws_registry_host(struct str account_id, struct str region, struct buf *out);
