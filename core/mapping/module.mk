LIBS += -licui18n -licuuc -licudata
