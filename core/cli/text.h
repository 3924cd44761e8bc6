/* Text that goes somewhere: into YAML values, into JSON; and the nearest known word. */
#ifndef VQP_CLI_TEXT_H
#define VQP_CLI_TEXT_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Decodes one strict UTF-8 character (no overlong forms, surrogates or NUL). Its length, or 0. */
size_t vqp_utf8_next(const char *s, size_t n, uint32_t *code);
/* n, or the offset of the first byte that is not strict UTF-8. */
size_t vqp_utf8_good(const char *s, size_t n);

/* s as a double-quoted YAML scalar, so that no character of it means anything; s is valid UTF-8. To be freed; NULL: out of
 * memory. */
char *vqp_yaml_quoted(const char *s);

/* s as YAML takes it after KEY=: as it is where it is one plain word or a list, else quoted. To be freed; NULL: out of memory. */
char *vqp_yaml_word(const char *s);

/* s as one word of a shell: plain, '...', or, where it holds what a terminal would obey, $'...' of bash, ksh and zsh; s is valid
 * UTF-8. To be freed; NULL: out of memory. */
char *vqp_shell_quoted(const char *s);

/* s on one line that a terminal shows as it is: control characters, and those that change the direction of writing, as \xNN of
 * their bytes; s is valid UTF-8. */
void vqp_print_safe(FILE *f, const char *s);

/* s as a JSON string; what is not UTF-8 becomes U+FFFD. NULL is written as null. */
void vqp_json_string(FILE *f, const char *s);

/* Whether s ends with `end` and has something before it. */
int vqp_ends_with(const char *s, const char *end);

/* Offers a candidate for `word`; *best and *distance (start: NULL, 0) keep the nearest one that may have been meant. */
void vqp_nearer(const char *word, const char *candidate, const char **best, size_t *distance);

#endif
