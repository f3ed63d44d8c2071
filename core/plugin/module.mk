LIBS += -lcrypto
CFLAGS_core_plugin_host += -DQD_BUILD_ID_HOST='"$(BUILD_ID)"'
$(OBJ)/core/plugin/host.o: $(SDK_HEADERS)
