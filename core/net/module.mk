LIBS += -lcurl -luv -lhttp_parser -lz -lssl -lcrypto
