#include "report/text_table.h"

#include <doctest/doctest.h>

using namespace trainctl;

TEST_CASE("columns are aligned and lines have no trailing blanks") {
  TextTable table({{"name"}, {"n", TextTable::Align::right}, {"note"}});
  table.add({"a", "1", "first"});
  table.add({"länger", "100"});
  table.add({});
  CHECK(table.text() ==
        "name      n  note\n"
        "a         1  first\n"
        "länger  100\n"
        "\n");
}
