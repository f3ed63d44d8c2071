LIBS += -lzstd
