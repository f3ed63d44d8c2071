LIBS += -luv -lhttp_parser -lz
