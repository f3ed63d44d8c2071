# How every plugin is compiled and linked, in the product's tree and out of it.
# One exported symbol, nothing of the libraries inside, never unloaded, no lazy binding, and a missing
# symbol fails here and not at a customer's start. Frame pointers lead _nodes/hot_threads through a
# plugin's functions.
QD_PLUGIN_CFLAGS := -fPIC -fno-omit-frame-pointer -fvisibility=hidden -fno-semantic-interposition
QD_PLUGIN_LDFLAGS := -shared -Wl,-z,defs,-z,now,-z,relro,-z,nodelete,-z,noexecstack -Wl,--exclude-libs,ALL
