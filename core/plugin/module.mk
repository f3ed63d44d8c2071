LIBS += -lcrypto
