LIBS += -lstemmer -lpsl
# The block kernel gains a third by unrolling.
CFLAGS_core_analysis_tokenizer_standard := -O3
