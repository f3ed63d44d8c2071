LIBS += -licuuc
