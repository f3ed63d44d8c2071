LIBS += -lsqlite3 -lcurl
