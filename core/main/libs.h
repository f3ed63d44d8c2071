/*
 * libs.h: memory of foreign libraries, counted in accounts named after them.
 */
#ifndef QD_MAIN_LIBS_H
#define QD_MAIN_LIBS_H

/* Once at start, before any plugin is loaded and before the libraries are used: afterwards they
 * refuse to change their allocator. */
void qd_libs_account_memory(void);

#endif
