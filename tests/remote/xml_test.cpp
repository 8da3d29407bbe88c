#include "remote/xml.h"

#include <doctest/doctest.h>

using namespace trainctl;

TEST_CASE("elements, attributes, entities and comments") {
  const auto list = parse_xml(
      "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- by hand -->\n"
      "<s3:List xmlns:s3='http://x/' a = \"<\"><Contents><Key>a&amp;b &#228;&#x1F600;</Key><Size>12</Size></Contents>\n"
      "<Contents><Key/><Size ></Size ></Contents><Name><![CDATA[<raw>]]></Name></s3:List> <!-- end -->\n");
  REQUIRE(list);
  CHECK(list->name == "List");
  REQUIRE(list->children.size() == 3);
  CHECK(list->children[0].value("Key") == "a&b \xC3\xA4\xF0\x9F\x98\x80");
  CHECK(list->children[0].value("Size") == "12");
  CHECK(list->children[1].value("Key") == "");
  CHECK(list->children[1].find("Key") != nullptr);
  CHECK(list->children[1].find("Owner") == nullptr);
  CHECK(list->value("Name") == "<raw>");
}

TEST_CASE("what is no whole document is not accepted") {
  for (const char* text : {"",
                           "text",
                           "<a>",
                           "<a></b>",
                           "<a/><b/>",
                           "<a></a>x",
                           "<a b></a>",
                           "<a b=c></a>",
                           "<a>&none;</a>",
                           "<a>&#0;</a>",
                           "<a>&#xD800;</a>",
                           "<a>&#x110000;</a>",
                           "<a>&amp</a>",
                           "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
                           "<a><?php ?></a>",
                           "<",
                           "<a",
                           "<a b='",
                           "<!-- <a/>",
                           "<a><![CDATA[</a>"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_xml(text));
  }
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (int i = 0; i < 100; ++i) deep += "</a>";
  CHECK_FALSE(parse_xml(deep));
}

TEST_CASE("escaped text reads back") {
  const std::string text = "a<b>&\"c'";
  CHECK(parse_xml("<t>" + xml_escaped(text) + "</t>")->text == text);
}
