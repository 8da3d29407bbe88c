#include "train/trained_fields.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace trainctl;

TEST_CASE("what the training data were is told and read again") {
  DatasetInfo data{7,
                   {{.name = "input", .dtype = DType::u8, .shape = {3, 4, 5}, .columns = {"\"a\"", "b\n"}},
                    {.name = "target", .dtype = DType::i64, .classes = 2, .class_names = {"yes", "n\u00f6"}}}};
  const DatasetInfo again = fields_from_json(fields_to_json(data), "x");
  CHECK(again.samples == 0);
  REQUIRE(again.fields.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(again.fields[i].name == data.fields[i].name);
    CHECK(again.fields[i].dtype == data.fields[i].dtype);
    CHECK(again.fields[i].shape == data.fields[i].shape);
    CHECK(again.fields[i].classes == data.fields[i].classes);
    CHECK(again.fields[i].class_names == data.fields[i].class_names);
    CHECK(again.fields[i].columns == data.fields[i].columns);
  }
}

TEST_CASE("what the training data were, damaged, is a data error that names its file") {
  for (
      const char* text :
      {"", "{}", "[]", R"({"fields": 3})", R"({"fields": [{"name": "x"}]})",
       R"({"fields": [{"name": "x", "dtype": "f9", "shape": [], "classes": 0, "class_names": [], "columns": []}]})",
       R"({"fields": [{"name": "x", "dtype": "f32", "shape": [1,1,1,1,1,1,1,1,1], "classes": 0, "class_names": [], "columns": []}]})"}) {
    CAPTURE(text);
    try {
      fields_from_json(text, "run/last.h5");
      FAIL("taken");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::data);
      CHECK(std::string(error.what()).starts_with("run/last.h5: "));
    }
  }
}
