// SPDX-License-Identifier: Apache-2.0
/*
 * Image references: the examples of the distribution project's reference package and the ways in
 * which people write them wrongly.
 */
#include "ecr/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHA "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ECR "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

struct row {
    const char *text;
    enum ecr_image_result want;
    const char *host, *repository, *tag, *digest; /* NULL: absent */
};

static const struct row rows[] = {
    {"", ECR_IMAGE_NO_HOST, NULL, NULL, NULL, NULL},
    {"nginx", ECR_IMAGE_NO_HOST, NULL, NULL, NULL, NULL},
    {"nginx:1.27", ECR_IMAGE_NO_HOST, NULL, NULL, NULL, NULL},
    {"library/nginx:1", ECR_IMAGE_NO_HOST, NULL, NULL, NULL, NULL},
    {"/nginx", ECR_IMAGE_NO_HOST, NULL, NULL, NULL, NULL},
    {ECR "/a", ECR_IMAGE_OK, ECR, "a", NULL, NULL},
    {ECR "/team/app", ECR_IMAGE_OK, ECR, "team/app", NULL, NULL},
    {ECR "/team/app:1.2_x-Y", ECR_IMAGE_OK, ECR, "team/app", "1.2_x-Y", NULL},
    {ECR "/team/app@" SHA, ECR_IMAGE_OK, ECR, "team/app", NULL, SHA},
    {ECR "/team/app:1@" SHA, ECR_IMAGE_OK, ECR, "team/app", "1", SHA},
    {"127.0.0.1:5000/a/b__c:x", ECR_IMAGE_OK, "127.0.0.1:5000", "a/b__c", "x", NULL},
    {"[::1]:5000/a/b", ECR_IMAGE_OK, "[::1]:5000", "a/b", NULL, NULL},
    {"localhost/a", ECR_IMAGE_OK, "localhost", "a", NULL, NULL},
    {"LOCALHOST/a", ECR_IMAGE_OK, "LOCALHOST", "a", NULL, NULL},
    {"host.example/a-b.c/d---e", ECR_IMAGE_OK, "host.example", "a-b.c/d---e", NULL, NULL},
    {"$(params.IMAGE)", ECR_IMAGE_PLACEHOLDER, NULL, NULL, NULL, NULL},
    {"{{ .Values.image }}", ECR_IMAGE_PLACEHOLDER, NULL, NULL, NULL, NULL},
    {ECR "/team/$(params.NAME):1", ECR_IMAGE_PLACEHOLDER, ECR, NULL, NULL, NULL},
    {ECR "/team/app:${TAG}", ECR_IMAGE_PLACEHOLDER, ECR, NULL, NULL, NULL},
    {"$(params.HOST)/app", ECR_IMAGE_PLACEHOLDER, "$(params.HOST)", NULL, NULL, NULL},
    {ECR "/", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/Team/app", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team//app", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app/", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app:", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app:-x", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app:a:b", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app:a/b", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app@sha256:zz", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app@" SHA "@" SHA, ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/team/app@", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/a___b", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/te am/app", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
    {ECR "/t\xc3\xa9st", ECR_IMAGE_INVALID, ECR, NULL, NULL, NULL},
};

static void assert_text(struct str got, const char *want, const char *text)
{
    if (want == NULL ? !str_is_null(got) : !str_eq_cstr(got, want))
        fail_msg("%s: \"%.*s\" instead of %s", text, STR_ARG(got), want != NULL ? want : "nothing");
}

static void parses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct ecr_image image;
        const enum ecr_image_result got = ecr_image_parse(str_from(r->text), &image);
        if (got != r->want)
            fail_msg("%s: result %d instead of %d", r->text, (int)got, (int)r->want);
        assert_text(image.host, r->host, r->text);
        if (got != ECR_IMAGE_OK)
            continue;
        assert_text(image.repository, r->repository, r->text);
        assert_text(image.tag, r->tag, r->text);
        assert_text(image.digest, r->digest, r->text);
    }
}

static void bounds_lengths(void **state)
{
    (void)state;
    char text[ECR_IMAGE_MAX + 32];
    struct ecr_image image;
    const int host = snprintf(text, sizeof text, ECR "/");
    memset(text + host, 'a', sizeof text - (size_t)host);
    assert_int_equal(ecr_image_parse(str_n(text, ECR_IMAGE_MAX), &image), ECR_IMAGE_OK);
    assert_int_equal(ecr_image_parse(str_n(text, ECR_IMAGE_MAX + 1), &image), ECR_IMAGE_INVALID);
    text[host + 1] = ':';
    const size_t with_tag = (size_t)host + 2;
    assert_int_equal(ecr_image_parse(str_n(text, with_tag + ECR_TAG_MAX), &image), ECR_IMAGE_OK);
    assert_int_equal(ecr_image_parse(str_n(text, with_tag + ECR_TAG_MAX + 1), &image),
                     ECR_IMAGE_INVALID);
}

static void compares_hosts(void **state)
{
    (void)state;
    assert_true(ecr_image_host_equal(STR("A.example"), STR("a.EXAMPLE")));
    assert_true(ecr_image_host_equal(STR("a.example:443"), STR("a.example")));
    assert_false(ecr_image_host_equal(STR("a.example:444"), STR("a.example")));
    assert_false(ecr_image_host_equal(STR("a.example"), STR("b.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(bounds_lengths),
        cmocka_unit_test(compares_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
