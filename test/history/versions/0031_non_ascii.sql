SELECT algo_ref.revision(
  message => $$Städte, 都市 und "Größen"; with 'quotes'$$,
  id => '0e53fb8a4c31',
  revises => '{97bd15f0ce30}',
  upgrade => $upgrade$
CREATE TABLE städte (
    "Größe" integer,
    "né à" text,
    "a ""quoted"" name; with --" boolean DEFAULT true,
    名前 text CONSTRAINT "名前は必須" NOT NULL
);
CREATE INDEX "städte größe" ON städte ("Größe") WHERE 名前 <> 'ö';
COMMENT ON COLUMN städte."né à" IS 'où; «là» 🐘';
INSERT INTO städte ("Größe", U&"n\00e9 \00e0", 名前)
VALUES (1, U&'\6771\4EAC', '東京'), (2, E'\u0141\u00F3d\u017A', 'Łódź'), (3, 'x', $é$a $e$ b$é$);
DO $größe$
BEGIN
    IF (SELECT count(*) FROM städte WHERE "né à" IN ('東京', 'Łódź')) <> 2 THEN
        RAISE 'not what was meant';
    END IF;
END
$größe$;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE "städte";
$downgrade$);
