LIBS += -lcrypto -licuuc
