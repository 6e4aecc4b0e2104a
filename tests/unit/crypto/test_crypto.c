// SPDX-License-Identifier: Apache-2.0
/*
 * Hashes, encodings and secrets against published vectors: FIPS 180-4's SHA-256 examples (with the
 * empty and the million-a message), RFC 4231 for HMAC, RFC 4648 section 10 for base64.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "crypto/crypto.h"

#include <string.h>

#define TWO_BLOCKS "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"

static const struct {
    const char *message;
    const char *want;
} sha256_vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {TWO_BLOCKS, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_sha256(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sha256_vectors); i++) {
        char hex[CRYPTO_SHA256_HEX + 1];
        crypto_sha256_hex(str_from(sha256_vectors[i].message), hex);
        assert_string_equal(hex, sha256_vectors[i].want);
    }
    char absent[CRYPTO_SHA256_HEX + 1];
    crypto_sha256_hex(STR_NULL, absent);
    assert_string_equal(absent, sha256_vectors[0].want);
}

static void test_hash_in_pieces(void **state)
{
    (void)state;
    struct crypto_hash *h = crypto_hash_new();
    char hex[CRYPTO_SHA256_HEX + 1];
    crypto_hash_hex(h, hex);
    assert_string_equal(hex, sha256_vectors[0].want);
    crypto_hash_add(h, "abc", 3);
    crypto_hash_hex(h, hex);
    assert_string_equal(hex, sha256_vectors[1].want);
    /* more may be added after a digest was taken */
    crypto_hash_add(h, &TWO_BLOCKS[3], strlen(TWO_BLOCKS) - 3);
    crypto_hash_hex(h, hex);
    assert_string_not_equal(hex, sha256_vectors[1].want);
    h = crypto_hash_free(h);
    assert_null(h);

    static char thousand[1000];
    memset(thousand, 'a', sizeof(thousand));
    h = crypto_hash_new();
    for (int i = 0; i < 1000; i++)
        crypto_hash_add(h, thousand, sizeof(thousand));
    crypto_hash_hex(h, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    crypto_hash_free(h);
    assert_null(crypto_hash_free(NULL));
}

static void test_hash_ignores_how_it_is_cut(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= strlen(TWO_BLOCKS); cut++) {
        struct crypto_hash *h BERTH_CLEANUP(crypto_hash_freep) = crypto_hash_new();
        char hex[CRYPTO_SHA256_HEX + 1];
        crypto_hash_add(h, TWO_BLOCKS, cut);
        crypto_hash_add(h, &TWO_BLOCKS[cut], strlen(TWO_BLOCKS) - cut);
        crypto_hash_hex(h, hex);
        assert_string_equal(hex, sha256_vectors[2].want);
    }
}

/* RFC 4231, section 4; keys and data given as (byte, count) or text. */
static const struct {
    const char *name;
    const char *key;
    uint8_t key_byte;
    size_t key_count;
    const char *data;
    uint8_t data_byte;
    size_t data_count;
    size_t compare_bytes;
    const char *want;
} hmac_vectors[] = {
    {"case 1", NULL, 0x0b, 20, "Hi There", 0, 0, 32,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"case 2", "Jefe", 0, 0, "what do ya want for nothing?", 0, 0, 32,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"case 3", NULL, 0xaa, 20, NULL, 0xdd, 50, 32,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"case 4",
     "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17"
     "\x18\x19",
     0, 0, NULL, 0xcd, 50, 32, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"case 5, truncated to 128 bits", NULL, 0x0c, 20, "Test With Truncation", 0, 0, 16,
     "a3b6167473100ee06e0c796c2955552b"},
    {"case 6", NULL, 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0, 0, 32,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"case 7", NULL, 0xaa, 131,
     "This is a test using a larger than block-size key and a larger than block-size data. The key "
     "needs to be hashed before being used by the HMAC algorithm.",
     0, 0, 32, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static void test_hmac(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hmac_vectors); i++) {
        char key[256], data[256], hex[CRYPTO_SHA256_HEX + 1];
        uint8_t mac[CRYPTO_SHA256_BYTES];
        memset(key, hmac_vectors[i].key_byte, sizeof(key));
        memset(data, hmac_vectors[i].data_byte, sizeof(data));
        crypto_hmac_sha256(hmac_vectors[i].key ? str_from(hmac_vectors[i].key)
                                               : str_n(key, hmac_vectors[i].key_count),
                           hmac_vectors[i].data ? str_from(hmac_vectors[i].data)
                                                : str_n(data, hmac_vectors[i].data_count),
                           mac);
        crypto_hex(mac, hmac_vectors[i].compare_bytes, hex);
        assert_string_equal(hex, hmac_vectors[i].want);
    }
}

static void test_hmac_edges(void **state)
{
    (void)state;
    const char *want = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[CRYPTO_SHA256_HEX + 1];
    crypto_hmac_sha256(STR(""), STR(""), mac);
    crypto_hex(mac, sizeof(mac), hex);
    assert_string_equal(hex, want);
    crypto_hmac_sha256(STR_NULL, STR_NULL, mac);
    crypto_hex(mac, sizeof(mac), hex);
    assert_string_equal(hex, want);
    /* a chain, as SigV4 derives its key: the result overwrites the key */
    uint8_t first[CRYPTO_SHA256_BYTES], second[CRYPTO_SHA256_BYTES];
    crypto_hmac_sha256(STR("k"), STR("one"), first);
    crypto_hmac_sha256(str_n((const char *)first, sizeof(first)), STR("two"), second);
    crypto_hmac_sha256(str_n((const char *)first, sizeof(first)), STR("two"), first);
    assert_memory_equal(first, second, sizeof(first));
}

static void test_hex(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x00, 0x09, 0x10, 0xab, 0xff};
    char hex[2 * sizeof(bytes) + 1];
    crypto_hex(bytes, sizeof(bytes), hex);
    assert_string_equal(hex, "000910abff");
    crypto_hex(bytes, 0, hex);
    assert_string_equal(hex, "");
}

static const struct {
    struct str plain;
    struct str encoded;
} base64_vectors[] = {
    {{STR_INIT("")}, {STR_INIT("")}},
    {{STR_INIT("f")}, {STR_INIT("Zg==")}},
    {{STR_INIT("fo")}, {STR_INIT("Zm8=")}},
    {{STR_INIT("foo")}, {STR_INIT("Zm9v")}},
    {{STR_INIT("foob")}, {STR_INIT("Zm9vYg==")}},
    {{STR_INIT("fooba")}, {STR_INIT("Zm9vYmE=")}},
    {{STR_INIT("foobar")}, {STR_INIT("Zm9vYmFy")}},
    {{STR_INIT("\xfb\xff\xbf")}, {STR_INIT("+/+/")}},
    {{STR_INIT("\0\0\0\0")}, {STR_INIT("AAAAAA==")}},
};

static void test_base64(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(base64_vectors); i++) {
        struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(64);
        buf_append(&b, STR("x"));
        crypto_base64_encode(base64_vectors[i].plain, &b);
        assert_true(str_eq(str_from_offset(buf_str(&b), 1), base64_vectors[i].encoded));
        buf_truncate(&b, 1);
        assert_true(crypto_base64_decode(base64_vectors[i].encoded, &b));
        assert_true(str_eq(str_from_offset(buf_str(&b), 1), base64_vectors[i].plain));
    }
}

static void test_base64_all_bytes(void **state)
{
    (void)state;
    char all[256];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    for (size_t n = 0; n <= sizeof(all); n++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
        struct buf back BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
        crypto_base64_encode(str_n(all, n), &text);
        assert_int_equal(text.len, (n + 2) / 3 * 4);
        assert_true(crypto_base64_decode(buf_str(&text), &back));
        assert_true(str_eq(buf_str(&back), str_n(all, n)));
    }
}

static const struct {
    const char *name;
    struct str text;
} base64_refused[] = {
    {"one digit", {STR_INIT("Z")}},
    {"padding is missing", {STR_INIT("Zg")}},
    {"half the padding", {STR_INIT("Zg=")}},
    {"too much padding", {STR_INIT("Zm9v====")}},
    {"padding alone", {STR_INIT("====")}},
    {"padding after one digit", {STR_INIT("Z===")}},
    {"padding in the middle", {STR_INIT("Zg==Zg==")}},
    {"a digit after padding", {STR_INIT("Zg=v")}},
    {"text after the end", {STR_INIT("Zm8=Z")}},
    {"unused bits, one pad", {STR_INIT("Zm9=")}},
    {"unused bits, two pads", {STR_INIT("Zh==")}},
    {"the URL alphabet", {STR_INIT("-_-_")}},
    {"not ASCII", {STR_INIT("Zm9\xc3")}},
    {"NUL", {STR_INIT("Zm9v\0\0\0\0")}},
    {"vertical tab", {STR_INIT("Zm9\vv")}},
};

static void test_base64_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(base64_refused); i++) {
        struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(64);
        buf_append(&b, STR("kept"));
        if (crypto_base64_decode(base64_refused[i].text, &b))
            fail_msg("accepted: %s", base64_refused[i].name);
        assert_string_equal(buf_cstr(&b), "kept");
    }
}

static void test_base64_space_and_limit(void **state)
{
    (void)state;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(6);
    assert_true(crypto_base64_decode(STR(" Zm\r\n9v\tYg =\n= \n"), &b));
    assert_string_equal(buf_cstr(&b), "foob");
    buf_reset(&b);
    assert_true(crypto_base64_decode(STR(" \n"), &b));
    assert_int_equal(b.len, 0);
    assert_false(crypto_base64_decode(STR("Zm9vYmFyIQ=="), &b)); /* 7 bytes */
    assert_int_equal(b.len, 0);
}

static void test_uuid(void **state)
{
    (void)state;
    char a[37], b[37];
    crypto_uuid(a);
    crypto_uuid(b);
    assert_int_equal(strlen(a), 36);
    assert_string_not_equal(a, b);
    assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
    for (size_t i = 0; i < 36; i++)
        assert_int_equal(a[i] == '-', i == 8 || i == 13 || i == 18 || i == 23);
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
}

static void test_random(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    crypto_random(a, sizeof(a));
    crypto_random(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    crypto_random(a, 0);
}

static void test_equal_and_wipe(void **state)
{
    (void)state;
    assert_true(crypto_equal(STR("secret"), STR("secret")));
    assert_false(crypto_equal(STR("secret"), STR("secreT")));
    assert_false(crypto_equal(STR("secret"), STR("secre")));
    assert_true(crypto_equal(STR(""), STR_NULL));
    char bytes[] = "secret";
    crypto_wipe(bytes, sizeof(bytes));
    assert_memory_equal(bytes, "\0\0\0\0\0\0", sizeof(bytes));
}

static void test_secret(void **state)
{
    (void)state;
    char source[] = "s3\0cret";
    struct secret *s BERTH_CLEANUP(secret_freep) = secret_new(str_n(source, 7));
    crypto_wipe(source, sizeof(source));
    assert_true(str_eq(secret_reveal(s), STR("s3\0cret")));
    assert_int_equal(secret_reveal(s).ptr[7], '\0');
    struct secret *none BERTH_CLEANUP(secret_freep) = secret_new(STR_NULL);
    assert_string_equal(secret_reveal(none).ptr, "");
    assert_true(str_is_null(secret_reveal(NULL)));
    assert_null(secret_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hash_in_pieces),
        cmocka_unit_test(test_hash_ignores_how_it_is_cut),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hmac_edges),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_all_bytes),
        cmocka_unit_test(test_base64_refuses),
        cmocka_unit_test(test_base64_space_and_limit),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_equal_and_wipe),
        cmocka_unit_test(test_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
