/*
 * list.h: intrusive lists. An element is a struct with the members `prev` and `next`, pointers to
 * its like; a list is a pointer to its first element, NULL when it is empty. Both are O(1); who
 * owns elements, and which lock they are under, is the list's user's to say. Arguments are
 * evaluated several times.
 */
#ifndef QD_BASE_LIST_H
#define QD_BASE_LIST_H

#include <stddef.h>

/* Puts x, which is in no list, in front. */
#define QD_LIST_PUSH(first, x)                                                                     \
    do {                                                                                           \
        (x)->prev = NULL;                                                                          \
        (x)->next = (first);                                                                       \
        if (first) (first)->prev = (x);                                                            \
        (first) = (x);                                                                             \
    } while (0)

/* Takes x, which is in this list, out. */
#define QD_LIST_REMOVE(first, x)                                                                   \
    do {                                                                                           \
        if ((x)->prev)                                                                             \
            (x)->prev->next = (x)->next;                                                           \
        else                                                                                       \
            (first) = (x)->next;                                                                   \
        if ((x)->next) (x)->next->prev = (x)->prev;                                                \
        (x)->prev = (x)->next = NULL;                                                              \
    } while (0)

#endif
