LIBS += -lstemmer
