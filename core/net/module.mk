LIBS += -luv -lhttp_parser -lz -lssl -lcrypto
