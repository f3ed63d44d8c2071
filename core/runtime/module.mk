LIBS += -luv
