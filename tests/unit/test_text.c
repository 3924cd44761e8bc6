#include "check.h"
#include "text.h"

static void utf8(void)
{
    static const struct {
        const char *s;
        size_t n, bad; /* offset of the first bad byte; n where all is well */
    } rows[] = {
        {"", 0, 0},
        {"plain", 5, 5},
        {"h\xC3\xA9t\xE2\x82\xAC\xF0\x9F\x98\x80", 11, 11},
        {"\xED\x9F\xBF\xEE\x80\x80", 6, 6}, /* just below and above the surrogates */
        {"\xF4\x8F\xBF\xBF", 4, 4},         /* U+10FFFF */
        {"\xEF\xBF\xBE", 3, 3},             /* U+FFFE is a character like any other */
        {"a\0b", 3, 1},
        {"ab\x80", 3, 2},   /* a lone continuation */
        {"\xC0\x80", 2, 0}, /* overlong NUL */
        {"\xC1\xBF", 2, 0},
        {"\xE0\x9F\xBF", 3, 0},
        {"\xF0\x8F\xBF\xBF", 4, 0},
        {"x\xED\xA0\x80", 4, 1},    /* a surrogate */
        {"\xF4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", 4, 0},
        {"\xFF", 1, 0},
        {"ab\xE2\x82", 4, 2}, /* cut short */
        {"\xC3", 1, 0},
        {"\xE2\x82z", 3, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_EQUAL(vqp_utf8_check(rows[i].s, rows[i].n), rows[i].bad);
}

static const char *nearest(const char *word)
{
    static const char *const known[] = {"steps", "seed", "guidance_scale", "truncation_rate", "prompt"};
    struct vqp_nearest n = {.word = word};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        vqp_nearest_offer(&n, known[i]);
    return n.best ? n.best : "";
}

static void nearest_name(void)
{
    CU_ASSERT_STRING_EQUAL(nearest("step"), "steps");
    CU_ASSERT_STRING_EQUAL(nearest("guidence_scale"), "guidance_scale");
    CU_ASSERT_STRING_EQUAL(nearest("promtp"), "prompt");
    CU_ASSERT_STRING_EQUAL(nearest("sede"), "seed");
    CU_ASSERT_STRING_EQUAL(nearest("completely"), "");
    char huge[300];
    memset(huge, 's', sizeof huge);
    huge[299] = 0;
    CU_ASSERT_STRING_EQUAL(nearest(huge), "");
}

static void quoting(void)
{
    char buf[64], small[12], tiny[4];
    CU_ASSERT_STRING_EQUAL(vqp_quote("a\tb\x7F\n", 5, buf, sizeof buf), "a\\x09b\\x7F\\x0A");
    CU_ASSERT_STRING_EQUAL(vqp_quote("h\xC3\xA9\xFF\xE2\x82", 6, buf, sizeof buf), "h\xC3\xA9\\xFF\\xE2\\x82");
    CU_ASSERT_STRING_EQUAL(vqp_quote("a\0b", 3, buf, sizeof buf), "a\\x00b");
    CU_ASSERT_STRING_EQUAL(vqp_quote("", 0, buf, sizeof buf), "");
    CU_ASSERT_STRING_EQUAL(vqp_quote("0123456789abcdef", 16, small, sizeof small), "01234567...");
    CU_ASSERT_STRING_EQUAL(vqp_quote("long", 4, tiny, sizeof tiny), "");
    for (size_t max = 8; max < 40; max++) { /* never cut inside a character or an escape, never past the end */
        char *exact = malloc(max);
        vqp_quote("\xF0\x9F\x98\x80\x01\xF0\x9F\x98\x80\x02\xC3\xA9\xC3\xA9\xC3\xA9", 16, exact, max);
        CU_ASSERT(strlen(exact) < max);
        CU_ASSERT_EQUAL(vqp_utf8_check(exact, strlen(exact)), strlen(exact));
        free(exact);
    }
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"checks UTF-8 strictly and says where it breaks", utf8},
        {"finds the nearest known name, or none", nearest_name},
        {"quotes for one line within the buffer", quoting},
    };
    return RUN_CASES("text", cases);
}
