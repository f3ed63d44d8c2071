LIBS += -lsqlite3
