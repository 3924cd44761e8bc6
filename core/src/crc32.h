/* CRC-32 as zip has it: the reflected polynomial 0xEDB88320. */
#ifndef VQP_CRC32_H
#define VQP_CRC32_H
#include <stddef.h>
#include <stdint.h>

/* Of n more bytes after those that gave `crc`; 0 before the first. Many gigabytes a second where the processor multiplies
 * without carry. */
uint32_t vqp_crc32(uint32_t crc, const void *data, size_t n);
/* The same by tables alone. */
uint32_t vqp_crc32_tables(uint32_t crc, const void *data, size_t n);

#endif
