LIBS += -lyaml
