CREATE OR REPLACE TEMPORARY TABLE "bare" AS
SELECT
  "t0"."_row",
  REGEXP_REPLACE(
    "t0"."c1",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "loan_id",
  REGEXP_REPLACE(
    "t0"."c2",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "amount",
  REGEXP_REPLACE(
    "t0"."c3",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "opened",
  REGEXP_REPLACE(
    "t0"."c4",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "seen",
  REGEXP_REPLACE(
    "t0"."c5",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "updated",
  REGEXP_REPLACE(
    "t0"."c6",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "active",
  REGEXP_REPLACE(
    "t0"."c7",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "grade",
  REGEXP_REPLACE(
    "t0"."c8",
    '^[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+|[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+\z',
    '',
    'g'
  ) AS "paid"
FROM "raw" AS "t0";

CREATE OR REPLACE TEMPORARY TABLE "trimmed" AS
SELECT
  "t0"."_row",
  CASE "t0"."loan_id"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."loan_id"
  END AS "loan_id",
  CASE "t0"."amount"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."amount"
  END AS "amount",
  CASE "t0"."opened"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."opened"
  END AS "opened",
  CASE "t0"."seen"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."seen"
  END AS "seen",
  CASE "t0"."updated"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."updated"
  END AS "updated",
  CASE "t0"."active"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."active"
  END AS "active",
  CASE "t0"."grade"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."grade"
  END AS "grade",
  CASE "t0"."paid"
    WHEN ''
    THEN CAST(NULL AS TEXT)
    WHEN 'NA'
    THEN CAST(NULL AS TEXT)
    ELSE "t0"."paid"
  END AS "paid"
FROM "bare" AS "t0";

CREATE OR REPLACE TEMPORARY TABLE "typed" AS
SELECT
  "t0"."_row",
  CASE
    WHEN REGEXP_MATCHES("t0"."loan_id", '^[+-]?([0-9]{1,3}([,][0-9]{3})+|[0-9]+)([.]0*)?\z')
    THEN TRY_CAST(REPLACE(REGEXP_REPLACE("t0"."loan_id", '[.]0*\z', '', 'g'), ',', '') AS BIGINT)
    ELSE CAST(NULL AS BIGINT)
  END AS "loan_id",
  CASE
    WHEN REGEXP_MATCHES(
      "t0"."amount",
      '^([+-]?[$]? ?(([0-9]{1,3}([,][0-9]{3})+|[0-9]+)([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?|[$] ?[+-]?(([0-9]{1,3}([,][0-9]{3})+|[0-9]+)([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?|[+-]?(([0-9]{1,3}([,][0-9]{3})+|[0-9]+)([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})? ?[$])\z'
    )
    AND (
      ABS(
        TRY_CAST(REPLACE(REPLACE(REPLACE("t0"."amount", '$', ''), ' ', ''), ',', '') AS DOUBLE)
      ) <= 1.7976931348623157e+308
    )
    THEN TRY_CAST(REPLACE(REPLACE(REPLACE("t0"."amount", '$', ''), ' ', ''), ',', '') AS DOUBLE)
    ELSE CAST(NULL AS DOUBLE)
  END AS "amount",
  COALESCE(
    CASE
      WHEN REGEXP_MATCHES("t0"."opened", '^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})\z')
      THEN CAST(TRY_CAST(REGEXP_EXTRACT("t0"."opened", '^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})\z', 3) || '-' || RIGHT(
        '0' || REGEXP_EXTRACT("t0"."opened", '^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})\z', 2),
        2
      ) || '-' || RIGHT(
        '0' || REGEXP_EXTRACT("t0"."opened", '^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})\z', 1),
        2
      ) AS TIMESTAMP) AS DATE)
      ELSE CAST(NULL AS DATE)
    END,
    CASE
      WHEN REGEXP_MATCHES("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z')
      THEN CAST(TRY_CAST(CASE
        WHEN REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 2) >= '69'
        THEN '19'
        ELSE '20'
      END || REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 2) || '-' || CASE
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'jan'
        THEN '01'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'feb'
        THEN '02'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'mar'
        THEN '03'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'apr'
        THEN '04'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'may'
        THEN '05'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'jun'
        THEN '06'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'jul'
        THEN '07'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'aug'
        THEN '08'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'sep'
        THEN '09'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'oct'
        THEN '10'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'nov'
        THEN '11'
        WHEN LOWER(
          SUBSTRING(
            REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1),
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH(REGEXP_EXTRACT("t0"."opened", '^([A-Za-z]{3})[-]([0-9]{2})\z', 1))
            END,
            3
          )
        ) = 'dec'
        THEN '12'
        ELSE CAST(NULL AS TEXT)
      END || '-' || '01' AS TIMESTAMP) AS DATE)
      ELSE CAST(NULL AS DATE)
    END
  ) AS "opened",
  COALESCE(
    CASE
      WHEN REGEXP_MATCHES(
        "t0"."seen",
        '^([0-9]{1,2})[/]([0-9]{1,2})[/]([0-9]{4})[ ]+(0?[1-9]|1[0-2])[:]([0-5]?[0-9])[ ]+([AaPp][Mm])\z'
      )
      THEN TRY_CAST(REGEXP_EXTRACT(
        "t0"."seen",
        '^([0-9]{1,2})[/]([0-9]{1,2})[/]([0-9]{4})[ ]+(0?[1-9]|1[0-2])[:]([0-5]?[0-9])[ ]+([AaPp][Mm])\z',
        3
      ) || '-' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{1,2})[/]([0-9]{1,2})[/]([0-9]{4})[ ]+(0?[1-9]|1[0-2])[:]([0-5]?[0-9])[ ]+([AaPp][Mm])\z',
          2
        ),
        2
      ) || '-' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{1,2})[/]([0-9]{1,2})[/]([0-9]{4})[ ]+(0?[1-9]|1[0-2])[:]([0-5]?[0-9])[ ]+([AaPp][Mm])\z',
          1
        ),
        2
      ) || ' ' || RIGHT(
        '0' || CAST((
          TRY_CAST(REGEXP_EXTRACT(
            "t0"."seen",
            '^([0-9]{1,2})[/]([0-9]{1,2})[/]([0-9]{4})[ ]+(0?[1-9]|1[0-2])[:]([0-5]?[0-9])[ ]+([AaPp][Mm])\z',
            4
          ) AS BIGINT) % 12
        ) + CASE
          WHEN LOWER(
            REGEXP_EXTRACT(
              "t0"."seen",
              '^([0-9]{1,2})[/]([0-9]{1,2})[/]([0-9]{4})[ ]+(0?[1-9]|1[0-2])[:]([0-5]?[0-9])[ ]+([AaPp][Mm])\z',
              6
            )
          ) = 'pm'
          THEN 12
          ELSE 0
        END AS TEXT),
        2
      ) || ':' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{1,2})[/]([0-9]{1,2})[/]([0-9]{4})[ ]+(0?[1-9]|1[0-2])[:]([0-5]?[0-9])[ ]+([AaPp][Mm])\z',
          5
        ),
        2
      ) || ':' || '00' AS TIMESTAMP)
      ELSE CAST(NULL AS TIMESTAMP)
    END,
    CASE
      WHEN REGEXP_MATCHES(
        "t0"."seen",
        '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z'
      )
      THEN TRY_CAST(REGEXP_EXTRACT(
        "t0"."seen",
        '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
        1
      ) || '-' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
          2
        ),
        2
      ) || '-' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
          3
        ),
        2
      ) || ' ' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
          4
        ),
        2
      ) || ':' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
          5
        ),
        2
      ) || ':' || RIGHT(
        '0' || REGEXP_EXTRACT(
          "t0"."seen",
          '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
          6
        ),
        2
      ) || '.' || REGEXP_EXTRACT(
        "t0"."seen",
        '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
        7
      ) AS TIMESTAMP) - TO_MINUTES(
        CASE
          WHEN REGEXP_EXTRACT(
            "t0"."seen",
            '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
            8
          ) = 'Z'
          THEN 0
          WHEN STARTS_WITH(
            REGEXP_EXTRACT(
              "t0"."seen",
              '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
              8
            ),
            '-'
          )
          THEN -(
            (
              TRY_CAST(SUBSTRING(
                REGEXP_REPLACE(
                  REGEXP_EXTRACT(
                    "t0"."seen",
                    '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                    8
                  ),
                  '[^0-9]',
                  '',
                  'g'
                ),
                CASE
                  WHEN (
                    0 + 1
                  ) >= 1
                  THEN 0 + 1
                  ELSE 0 + 1 + LENGTH(
                    REGEXP_REPLACE(
                      REGEXP_EXTRACT(
                        "t0"."seen",
                        '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                        8
                      ),
                      '[^0-9]',
                      '',
                      'g'
                    )
                  )
                END,
                2
              ) AS BIGINT) * 60
            ) + TRY_CAST(SUBSTRING(
              REGEXP_REPLACE(
                REGEXP_EXTRACT(
                  "t0"."seen",
                  '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                  8
                ),
                '[^0-9]',
                '',
                'g'
              ),
              CASE
                WHEN (
                  2 + 1
                ) >= 1
                THEN 2 + 1
                ELSE 2 + 1 + LENGTH(
                  REGEXP_REPLACE(
                    REGEXP_EXTRACT(
                      "t0"."seen",
                      '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                      8
                    ),
                    '[^0-9]',
                    '',
                    'g'
                  )
                )
              END,
              2
            ) AS BIGINT)
          )
          ELSE (
            TRY_CAST(SUBSTRING(
              REGEXP_REPLACE(
                REGEXP_EXTRACT(
                  "t0"."seen",
                  '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                  8
                ),
                '[^0-9]',
                '',
                'g'
              ),
              CASE
                WHEN (
                  0 + 1
                ) >= 1
                THEN 0 + 1
                ELSE 0 + 1 + LENGTH(
                  REGEXP_REPLACE(
                    REGEXP_EXTRACT(
                      "t0"."seen",
                      '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                      8
                    ),
                    '[^0-9]',
                    '',
                    'g'
                  )
                )
              END,
              2
            ) AS BIGINT) * 60
          ) + TRY_CAST(SUBSTRING(
            REGEXP_REPLACE(
              REGEXP_EXTRACT(
                "t0"."seen",
                '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                8
              ),
              '[^0-9]',
              '',
              'g'
            ),
            CASE
              WHEN (
                2 + 1
              ) >= 1
              THEN 2 + 1
              ELSE 2 + 1 + LENGTH(
                REGEXP_REPLACE(
                  REGEXP_EXTRACT(
                    "t0"."seen",
                    '^([0-9]{4})[-]([0-9]{1,2})[-]([0-9]{1,2})T([01]?[0-9]|2[0-3])[:]([0-5]?[0-9])[:]([0-5]?[0-9])[.]([0-9]{1,9})(Z|[+-][0-9]{2}:?[0-9]{2})\z',
                    8
                  ),
                  '[^0-9]',
                  '',
                  'g'
                )
              )
            END,
            2
          ) AS BIGINT)
        END
      )
      ELSE CAST(NULL AS TIMESTAMP)
    END
  ) AS "seen",
  CASE
    WHEN REGEXP_MATCHES(
      "t0"."updated",
      '^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+]00:?00|[+]00)?)?\z'
    )
    THEN TRY_CAST(REPLACE(REGEXP_REPLACE("t0"."updated", '(Z|[+]00:?00|[+]00)\z', '', 'g'), 'T', ' ') AS TIMESTAMP)
    ELSE CAST(NULL AS TIMESTAMP)
  END AS "updated",
  CASE LOWER("t0"."active")
    WHEN '1'
    THEN TRUE
    WHEN 'có'
    THEN TRUE
    WHEN 'ja'
    THEN TRUE
    WHEN 'oui'
    THEN TRUE
    WHEN 'si'
    THEN TRUE
    WHEN 'sí'
    THEN TRUE
    WHEN 't'
    THEN TRUE
    WHEN 'true'
    THEN TRUE
    WHEN 'vrai'
    THEN TRUE
    WHEN 'wahr'
    THEN TRUE
    WHEN 'y'
    THEN TRUE
    WHEN 'yes'
    THEN TRUE
    WHEN '0'
    THEN FALSE
    WHEN 'f'
    THEN FALSE
    WHEN 'falsch'
    THEN FALSE
    WHEN 'false'
    THEN FALSE
    WHEN 'faux'
    THEN FALSE
    WHEN 'không'
    THEN FALSE
    WHEN 'n'
    THEN FALSE
    WHEN 'nein'
    THEN FALSE
    WHEN 'no'
    THEN FALSE
    WHEN 'non'
    THEN FALSE
    ELSE CAST(NULL AS BOOLEAN)
  END AS "active",
  "t0"."grade",
  CASE
    WHEN REGEXP_MATCHES(
      "t0"."paid",
      '^[+-]?(([0-9]{1,3}([,][0-9]{3})+|[0-9]+)([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?\z'
    )
    AND (
      ABS(TRY_CAST(REPLACE("t0"."paid", ',', '') AS DOUBLE)) <= 1.7976931348623157e+308
    )
    THEN TRY_CAST(REPLACE("t0"."paid", ',', '') AS DOUBLE)
    ELSE CAST(NULL AS DOUBLE)
  END AS "paid",
  "t0"."loan_id" IS NOT NULL AS "_given_loan_id",
  "t0"."amount" IS NOT NULL AS "_given_amount",
  "t0"."opened" IS NOT NULL AS "_given_opened",
  "t0"."seen" IS NOT NULL AS "_given_seen",
  "t0"."updated" IS NOT NULL AS "_given_updated",
  "t0"."active" IS NOT NULL AS "_given_active",
  "t0"."paid" IS NOT NULL AS "_given_paid"
FROM "trimmed" AS "t0";

CREATE OR REPLACE TEMPORARY TABLE "judged" AS
SELECT
  "t0"."_row",
  "t0"."loan_id",
  "t0"."amount",
  "t0"."opened",
  "t0"."seen",
  "t0"."updated",
  "t0"."active",
  "t0"."grade",
  "t0"."paid",
  "t0"."_given_loan_id",
  "t0"."_given_amount",
  "t0"."_given_opened",
  "t0"."_given_seen",
  "t0"."_given_updated",
  "t0"."_given_active",
  "t0"."_given_paid",
  CASE
    WHEN "t0"."_given_loan_id" AND (
      "t0"."loan_id" IS NULL
    )
    THEN 'loan_id: not an integer'
    WHEN "t0"."loan_id" IS NULL
    THEN 'loan_id: missing'
    WHEN "t0"."_given_amount" AND (
      "t0"."amount" IS NULL
    )
    THEN 'amount: not a number'
    WHEN "t0"."amount" < 0
    THEN 'amount: below minimum'
    WHEN "t0"."_given_opened" AND (
      "t0"."opened" IS NULL
    )
    THEN 'opened: not a date'
    WHEN "t0"."_given_seen" AND (
      "t0"."seen" IS NULL
    )
    THEN 'seen: not a date and time'
    WHEN "t0"."_given_updated" AND (
      "t0"."updated" IS NULL
    )
    THEN 'updated: not a date and time'
    WHEN "t0"."_given_active" AND (
      "t0"."active" IS NULL
    )
    THEN 'active: not a boolean'
    WHEN "t0"."_given_paid" AND (
      "t0"."paid" IS NULL
    )
    THEN 'paid: not a number'
    WHEN "t0"."paid" > "t0"."amount"
    THEN 'paid <= amount'
    WHEN (
      "t0"."updated" > "t0"."seen"
    )
    OR (
      "t0"."updated" > "t0"."opened"
    )
    OR (
      "t0"."seen" > "t0"."opened"
    )
    THEN 'updated <= seen <= opened'
    ELSE CAST(NULL AS TEXT)
  END AS "_reason"
FROM "typed" AS "t0";

CREATE OR REPLACE TEMPORARY TABLE "accepted" AS
SELECT
  "t1"."_row",
  "t1"."loan_id",
  "t1"."amount",
  "t1"."opened",
  "t1"."seen",
  "t1"."updated",
  "t1"."active",
  "t1"."grade",
  "t1"."paid",
  ROW_NUMBER() OVER (
    PARTITION BY "t1"."loan_id", "t1"."amount", "t1"."opened", "t1"."seen", "t1"."updated", "t1"."active", "t1"."grade", "t1"."paid"
    ORDER BY "t1"."_row" ASC
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
  ) - 1 AS "_repeat"
FROM (
  SELECT
    "t0"."_row",
    "t0"."loan_id",
    "t0"."amount",
    "t0"."opened",
    "t0"."seen",
    "t0"."updated",
    "t0"."active",
    "t0"."grade",
    "t0"."paid"
  FROM "judged" AS "t0"
  WHERE
    "t0"."_reason" IS NULL
) AS "t1";

CREATE OR REPLACE TEMPORARY TABLE "applied" AS
SELECT
  "t0"."_row",
  "t0"."loan_id",
  COALESCE(
    CASE
      WHEN "t0"."amount" < 0.0
      THEN 0.0
      WHEN "t0"."amount" > 90.5
      THEN 90.5
      ELSE "t0"."amount"
    END,
    12.5
  ) AS "amount",
  "t0"."opened",
  "t0"."seen",
  "t0"."updated",
  "t0"."active",
  COALESCE("t0"."grade", 'it''s') AS "grade",
  "t0"."paid"
FROM "accepted" AS "t0"
WHERE
  "t0"."_repeat" = 0;

CREATE OR REPLACE TEMPORARY TABLE "checked" AS
SELECT
  "t5"."_row",
  "t5"."loan_id",
  "t5"."amount",
  "t5"."opened",
  "t5"."seen",
  "t5"."updated",
  "t5"."active",
  "t5"."grade",
  "t5"."paid",
  CASE
    WHEN "t5"."_judged" AND (
      "t5"."_place" > 0
    )
    THEN 'grade -> active'
    ELSE "t5"."_reason"
  END AS "_reason"
FROM (
  SELECT
    "t4"."_row",
    "t4"."loan_id",
    "t4"."amount",
    "t4"."opened",
    "t4"."seen",
    "t4"."updated",
    "t4"."active",
    "t4"."grade",
    "t4"."paid",
    "t4"."_reason",
    "t4"."_judged",
    "t4"."_frequency",
    RANK() OVER (
      PARTITION BY "t4"."grade", "t4"."_judged"
      ORDER BY "t4"."_frequency" DESC, "t4"."active" ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) - 1 AS "_place"
  FROM (
    SELECT
      "t3"."_row",
      "t3"."loan_id",
      "t3"."amount",
      "t3"."opened",
      "t3"."seen",
      "t3"."updated",
      "t3"."active",
      "t3"."grade",
      "t3"."paid",
      "t3"."_reason",
      "t3"."_judged",
      COUNT("t3"."active") OVER (
        PARTITION BY "t3"."grade", "t3"."active", "t3"."_judged"
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      ) AS "_frequency"
    FROM (
      SELECT
        "t2"."_row",
        "t2"."loan_id",
        "t2"."amount",
        "t2"."opened",
        "t2"."seen",
        "t2"."updated",
        "t2"."active",
        "t2"."grade",
        "t2"."paid",
        CASE
          WHEN (
            "t2"."_reason" IS NULL
          ) AND (
            "t2"."_place" > 0
          )
          THEN 'unique(loan_id)'
          ELSE "t2"."_reason"
        END AS "_reason",
        (
          CASE
            WHEN (
              "t2"."_reason" IS NULL
            ) AND (
              "t2"."_place" > 0
            )
            THEN 'unique(loan_id)'
            ELSE "t2"."_reason"
          END IS NULL
        )
        AND (
          "t2"."grade" IS NOT NULL
        )
        AND (
          "t2"."active" IS NOT NULL
        ) AS "_judged"
      FROM (
        SELECT
          "t1"."_row",
          "t1"."loan_id",
          "t1"."amount",
          "t1"."opened",
          "t1"."seen",
          "t1"."updated",
          "t1"."active",
          "t1"."grade",
          "t1"."paid",
          "t1"."_reason",
          ROW_NUMBER() OVER (
            PARTITION BY "t1"."loan_id", "t1"."_reason" IS NULL
            ORDER BY "t1"."_row" ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
          ) - 1 AS "_place"
        FROM (
          SELECT
            "t0"."_row",
            "t0"."loan_id",
            "t0"."amount",
            "t0"."opened",
            "t0"."seen",
            "t0"."updated",
            "t0"."active",
            "t0"."grade",
            "t0"."paid",
            CASE
              WHEN "t0"."paid" > "t0"."amount"
              THEN 'paid <= amount'
              ELSE CAST(NULL AS TEXT)
            END AS "_reason"
          FROM "applied" AS "t0"
        ) AS "t1"
      ) AS "t2"
    ) AS "t3"
  ) AS "t4"
) AS "t5";
