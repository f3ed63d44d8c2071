LIBS += -lpcre2-8 -lpsl -lmaxminddb -lcrypto
