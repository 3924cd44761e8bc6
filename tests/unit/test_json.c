#include "check.h"
#include "json.h"
#include "scratch.h"

static void refused(const char *text, size_t n, const char *part)
{
    json_t *root = NULL;
    struct vqp_error err = {0};
    char *exact = malloc(n + !n); /* no NUL behind it */
    memcpy(exact, text, n);
    CU_ASSERT_EQUAL(vqp_json_parse("config.json", exact, n, &root, &err), VQP_E_FORMAT);
    CU_ASSERT_PTR_NULL(root);
    CHECK_STR_HAS(err.msg, "config.json:");
    CHECK_STR_HAS(err.msg, part);
    CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
    free(exact);
}

static void valid(void)
{
    static const char text[] = "{\n \"n\": 12, \"x\": 1.5e1, \"s\": \"h\\u00e9\", \"list\": [1, [2]], \"no\": null }\n";
    json_t *root;
    struct vqp_error err;
    CU_ASSERT_EQUAL_FATAL(vqp_json_parse("config.json", text, sizeof text - 1, &root, &err), VQP_OK);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(root, "n")), 12);
    CU_ASSERT_EQUAL(json_real_value(json_object_get(root, "x")), 15.0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(root, "s")), "h\xC3\xA9");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(root, "list")), 2);
    json_decref(root);
}

static void malformed(void)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "config.json:1:1: "},
        {"\xEF\xBB\xBF{}", "config.json:1:1: begins with a byte order mark"},
        {"[1]", "is not a JSON object"},
        {"1", "config.json:1:1: "},
        {"{\"a\":1}x", "config.json:1:8: "},
        {"{\n\"a\": 1,\n\"b\": tru}", "config.json:3:"},
        {"{\"a\":NaN}", "config.json:1:"},
        {"{\"a\":Infinity}", "config.json:1:"},
        {"{\"a\":-Infinity}", "config.json:1:"},
        {"{\"a\":nan}", "config.json:1:"},
        {"{\"a\":1e999}", "config.json:1:"},
        {"{\"a\":[99999999999999999999,099999999999999999999]}", "config.json:1:"},
        {"{\"a\":99999999999999999999999-}", "config.json:1:"},
        {"{\"a\":99999999999999999999,\n\"b\":tru}", "config.json:2:"},
        {"{\"a\":01}", "config.json:1:"},
        {"{\"a\":0x10}", "config.json:1:"},
        {"{\"a\":1,}", "config.json:1:"},
        {"{\"a\":[1,]}", "config.json:1:"},
        {"{a:1}", "config.json:1:2: "},
        {"{\"a\":1 /* no */}", "config.json:1:"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":1,\"\\u0061\":2}", "duplicate"},
        {"{\"x\":{\"a\":1,\"a\":2}}", "duplicate"},
        {"{\"a\":\"\xFF\"}", "config.json:1:7: is not UTF-8: byte 0xFF"},
        {"{\n\"\xC3\xA9\":\"\xED\xA0\x80\"}", "config.json:2:6: is not UTF-8: byte 0xED"}, /* characters are counted */
        {"{\"a\":\"\\ud800\"}", "config.json:1:"},
        {"{\"a\":\"\\u0000\"}", "config.json:1:"},
        {"{\"a\":\"\1\"}", "config.json:1:"},
        {"{\"a\":\"\n\"}", "config.json:1:"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(rows[i].text, strlen(rows[i].text), rows[i].part);
    refused("{\"a\":1}\0", 8, "config.json:1:8: is not UTF-8: byte 0x00");
}

static void wide_numbers(void)
{
    char text[700] =
        "{\"a\":[1000000000000000019884624838656, -99999999999999999999, 9223372036854775808, 9223372036854775807, "
        "-9223372036854775808, -9223372036854775809, 1.23456789012345678901234, 3], "
        "\"\\\"99999999999999999999\":\"99999999999999999999\"}";
    static const double reals[] = {1e30, -1e20, 0x1p63, 0, 0, -0x1p63, 1.23456789012345678901234, 0};
    json_t *root, *list;
    struct vqp_error err;
    CU_ASSERT_EQUAL_FATAL(vqp_json_parse("config.json", text, strlen(text), &root, &err), VQP_OK);
    list = json_object_get(root, "a");
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (reals[i] != 0)
            CU_ASSERT_DOUBLE_EQUAL(json_real_value(json_array_get(list, i)) / reals[i], 1, 1e-15);
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(list, 3)), INT64_MAX);
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(list, 4)), INT64_MIN);
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(list, 7)), 3);
    CHECK_STR_HAS(json_string_value(json_object_get(root, "\"99999999999999999999")), "99999999999999999999");
    json_decref(root);
    memset(strcpy(text, "{\"a\":") + 5, '9', 400);
    strcpy(text + 405, "}");
    refused(text, strlen(text), "config.json:1:"); /* beyond a real, too */
}

static void depth(void)
{
    char text[200], *at = text;
    json_t *root;
    struct vqp_error err;
    at += sprintf(at, "{\"a\":");
    for (int i = 0; i < 31; i++)
        *at++ = '[';
    for (int i = 0; i < 31; i++)
        *at++ = ']';
    *at++ = '}';
    CU_ASSERT_EQUAL_FATAL(vqp_json_parse("config.json", text, (size_t)(at - text), &root, &err), VQP_OK);
    json_decref(root);
    at = text + sprintf(text, "{\"a\":");
    for (int i = 0; i < 32; i++)
        *at++ = '[';
    refused(text, (size_t)(at - text), "config.json:1:37: is nested more than 32 deep");
}

static void cut_anywhere(void)
{
    static const char text[] = "{\"a\": [1, 2.5, true, null, \"x\\u00e9\\n\"], \"b\": {\"c\": -1e-3}}";
    for (size_t n = 0; n < sizeof text - 1; n++)
        refused(text, n, "config.json:1:");
}

static void changed_anywhere(void)
{
    char text[] = "{\"a\": [1, 2.5, true], \"b\": {\"c\": \"\\u00e9\"}}";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char was = text[at];
        for (int value = 0; value < 256; value++) {
            json_t *root = NULL;
            struct vqp_error err = {0};
            text[at] = (char)value;
            vqp_status status = vqp_json_parse("config.json", text, sizeof text - 1, &root, &err);
            CU_ASSERT(status == VQP_OK ? root != NULL : status == VQP_E_FORMAT && err.msg[0]);
            if (!status)
                json_decref(root);
        }
        text[at] = was;
    }
}

static void files(void)
{
    char *data = NULL;
    size_t n = 99;
    json_t *root = NULL;
    struct vqp_error err = {0};
    unsigned before = open_files();
    const char *path = scratch_write("a.json", "{\"a\":1}", 7);
    CU_ASSERT_EQUAL_FATAL(vqp_read_file(path, 7, &data, &n, &err), VQP_OK);
    CU_ASSERT(n == 7 && !memcmp(data, "{\"a\":1}", 8));
    free(data);
    CU_ASSERT_EQUAL_FATAL(vqp_json_load(path, &root, &err), VQP_OK);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(root, "a")), 1);
    json_decref(root);

    CU_ASSERT_EQUAL(vqp_read_file(path, 6, &data, &n, &err), VQP_E_IO);
    CHECK_STR_HAS(err.msg, "a.json: has 7 bytes, at most 6");
    path = scratch_write("empty", "", 0);
    CU_ASSERT_EQUAL_FATAL(vqp_read_file(path, 6, &data, &n, &err), VQP_OK);
    CU_ASSERT(n == 0 && data[0] == 0);
    free(data);
    CU_ASSERT_EQUAL(vqp_json_load(path, &root, &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "/empty:1:1: ");

    CU_ASSERT_EQUAL(vqp_json_load(scratch("none.json"), &root, &err), VQP_E_IO);
    CHECK_STR_HAS(err.msg, "none.json: cannot be opened: No such file or directory");
    CU_ASSERT_EQUAL(vqp_json_load(scratch_dir, &root, &err), VQP_E_IO);
    CHECK_STR_HAS(err.msg, "is a folder");
    CU_ASSERT_EQUAL(mkfifo(scratch("pipe"), 0644), 0);
    CU_ASSERT_EQUAL(vqp_json_load(scratch("pipe"), &root, &err), VQP_E_IO);
    CHECK_STR_HAS(err.msg, "pipe: is a device, pipe or socket");
    CU_ASSERT_EQUAL(vqp_json_load("/dev/zero", &root, &err), VQP_E_IO);

    char *big = calloc(1, (1 << 20) + 1);
    memset(big, ' ', (1 << 20) + 1);
    memcpy(big, "{}", 2);
    CU_ASSERT_EQUAL(vqp_json_load(scratch_write("big", big, 1 << 20), &root, &err), VQP_OK);
    json_decref(root);
    CU_ASSERT_EQUAL(vqp_json_load(scratch_write("big", big, (1 << 20) + 1), &root, &err), VQP_E_IO);
    free(big);
    CU_ASSERT_EQUAL(open_files(), before);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"reads an object", valid},
        {"refuses what is malformed, with line and column", malformed},
        {"reads whole numbers beyond 64 bits as reals", wide_numbers},
        {"allows a depth of 32 and no more", depth},
        {"refuses text cut at any byte", cut_anywhere},
        {"survives any byte changed", changed_anywhere},
        {"reads regular files within their limit, and nothing else", files},
    };
    scratch_begin();
    return RUN_CASES("json", cases);
}
