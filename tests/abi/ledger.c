/* ledger.c: compiling it is the test. */
#include "headers.h"

#define PIN(type, member, offset, ...)                                                             \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved");            \
    _Static_assert(__builtin_types_compatible_p(__typeof__(((type *)0)->member), __VA_ARGS__),     \
                   #type "." #member " has another type");
#define PIN_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size");
#define PIN_ENUM(name, value)                                                                      \
    _Static_assert((long long)(name) == (value), #name " has another value");

#include "ledger.h"
