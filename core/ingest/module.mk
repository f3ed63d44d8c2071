LIBS += -lpcre2-8
